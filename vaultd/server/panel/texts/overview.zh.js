// 中文：overview 页。
export default {};
