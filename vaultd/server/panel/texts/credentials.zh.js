// 中文：credentials 页。
export default {};
