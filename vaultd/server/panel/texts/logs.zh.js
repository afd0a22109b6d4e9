// 中文：logs 页。
export default {};
