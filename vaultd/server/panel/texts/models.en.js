// English, for the page Models.
export default {};
