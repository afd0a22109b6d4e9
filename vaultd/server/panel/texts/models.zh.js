// 中文：models 页。
export default {};
