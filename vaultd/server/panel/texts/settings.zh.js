// 中文：settings 页。
export default {};
