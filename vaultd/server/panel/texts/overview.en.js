// English, for the page Overview.
export default {};
