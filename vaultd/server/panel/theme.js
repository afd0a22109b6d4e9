// Before the first paint: the theme and the language a person chose last, so that nothing flashes. A classic script in
// the head, because a module would run after the page was painted. Only these two choices are in localStorage; the
// management key never is.
(() => {
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem("vaultd.theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    const language = localStorage.getItem("vaultd.language") || navigator.language || "en";
    root.lang = language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
  } catch {
    // Storage switched off: the system's theme and English will do.
  }
})();
