// English, for the page Settings.
export default {};
