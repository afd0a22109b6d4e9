// English, for the page Credentials.
export default {};
