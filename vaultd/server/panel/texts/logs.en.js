// English, for the page Logs.
export default {};
