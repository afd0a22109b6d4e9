// The shell: which page stands there (the part of the address after #), the key prompt before it, navigation, theme,
// language and the keyboard. Pages are fetched when first asked for, with their texts and their style.
import { html, render, store, useEffect, useRef, useState, useStore } from "./view.js";
import { LANGUAGES, language, loadTexts, setLanguage, t } from "./i18n.js";
import { forgetKey, line, managementKey } from "./api.js";
import { Button, Confirm, Dialog, ErrorNote, Icon, IconButton, Skeleton, Toasts } from "./ui.js";

const PAGES = [
  { id: "overview", key: "o" },
  { id: "credentials", key: "c" },
  { id: "models", key: "m" },
  { id: "clients", key: "k" },
  { id: "logs", key: "l" },
  { id: "settings", key: "s" },
];

/** `#/models?filter=opus` → {page: "models", query: {filter: "opus"}} */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const page = PAGES.some((one) => one.id === path) ? path : "overview";
  return { page, query: Object.fromEntries(new URLSearchParams(query ?? "")) };
}
const route = store(place());
addEventListener("hashchange", () => route.set(place()));

const styled = new Set();
function style(page) {
  if (styled.has(page)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `/panel/pages/${page}.css` });
    link.onload = () => resolve(styled.add(page));
    link.onerror = reject;
    document.head.append(link);
  });
}
const drawn = {};
async function fetchPage(page) {
  const [module] = await Promise.all([import(`./pages/${page}.js`), loadTexts(page), style(page)]);
  drawn[page] = module.default;
}

function useTheme() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "system");
  const next = { system: "light", light: "dark", dark: "system" }[theme];
  const turn = () => {
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("vaultd.theme", next);
    } catch {
      // The choice lasts as long as the page.
    }
    setTheme(next);
    dispatchEvent(new Event("vaultd:theme"));
  };
  return [theme, turn];
}

function Navigation({ page }) {
  return html`<nav class="nav" aria-label=${t("nav.label")}>
    ${PAGES.map((one) => html`<a key=${one.id} class="nav-link" href=${`#/${one.id}`} aria-current=${one.id === page ? "page" : undefined}
      title=${`g ${one.key}`}><${Icon} name=${one.id} size=${20} /><span>${t(`nav.${one.id}`)}</span></a>`)}
  </nav>`;
}

/** Language, theme, keyboard, and (once there is a key) leaving. */
export function Tools({ help }) {
  const [theme, turnTheme] = useTheme();
  const lang = useStore(language);
  const key = useStore(managementKey);
  const other = lang === "en" ? "zh" : "en";
  const icon = { system: "system", light: "sun", dark: "moon" }[theme];
  return html`<div class="tools">
    <button type="button" class="icon-button wordy" lang=${other === "zh" ? "zh-CN" : "en"} aria-label=${`${other === "zh" ? "中" : "EN"} · ${LANGUAGES[other]}`} title=${LANGUAGES[other]}
      onClick=${() => setLanguage(other, ["shell", ...Object.keys(drawn), ...(key ? [] : ["entry"])])}>${other === "zh" ? "中" : "EN"}</button>
    <${IconButton} icon=${icon} label=${t(`theme.${theme}`)} onClick=${turnTheme} />
    ${help && html`<${IconButton} icon="help" label=${t("help.title")} onClick=${help} />`}
    ${key && html`<${IconButton} icon="exit" label=${t("key.forget")} onClick=${() => forgetKey()} />`}
  </div>`;
}

function Help({ onClose }) {
  const rows = [...PAGES.map((one) => [`g ${one.key}`, t(`nav.${one.id}`)]), ["/", t("help.filter")], ["?", t("help.this")], ["Esc", t("help.close")]];
  return html`<${Dialog} title=${t("help.title")} onClose=${onClose}>
    <dl class="keys">${rows.map(([keys, what]) => html`<div key=${keys}><dt>${keys.split(" ").map((one) => html`<kbd>${one}</kbd> `)}</dt><dd>${what}</dd></div>`)}</dl>
  <//>`;
}

/** `g` then a letter goes; `/` filters; `?` helps. Never while something is being typed or a dialog stands open. */
function useKeyboard(help) {
  useEffect(() => {
    let going = 0;
    const press = (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
      if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const waited = Date.now() - going < 1500;
      going = 0;
      if (waited) {
        const to = PAGES.find((one) => one.key === event.key);
        if (to) location.hash = `#/${to.id}`;
      } else if (event.key === "g") going = Date.now();
      else if (event.key === "?") help();
      else if (event.key === "/") {
        const box = document.querySelector("[data-filter]");
        if (box) {
          event.preventDefault();
          box.focus();
        }
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

/** The page of the route, once it is here; the heading gets the focus when a page is changed, as on a page load. */
function Current({ page, query }) {
  const [ready, setReady] = useState(drawn[page] ? page : null);
  const [error, setError] = useState(null);
  const first = useRef(true);
  const load = () => {
    setError(null);
    fetchPage(page).then(() => setReady(page), () => setError(Object.assign(new Error(t("error.page")), { advice: t("error.unreachable") })));
  };
  useEffect(load, [page]);
  useEffect(() => {
    document.title = `${t(`nav.${page}`)} · vaultd`;
    if (ready !== page) return;
    if (!first.current) document.querySelector("h1")?.focus({ preventScroll: true });
    first.current = false;
    scrollTo(0, 0);
  }, [ready, page]);
  if (error) return html`<div class="page"><${ErrorNote} error=${error} retry=${load} /></div>`;
  if (ready !== page && !drawn[page]) return html`<div class="page"><${Skeleton} rows=${6} kind="row" /></div>`;
  return html`<${drawn[page]} key=${page} query=${query} />`;
}

function LostLine() {
  const state = useStore(line);
  // Told after two seconds: a restart of the daemon is shorter than that.
  const [told, setTold] = useState(false);
  useEffect(() => {
    if (state !== "lost") return setTold(false);
    const timer = setTimeout(() => setTold(true), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  if (!told) return null;
  return html`<div class="lost" role="status"><span class="spinner"></span>${t("line.lost")}</div>`;
}

function Shell() {
  const { page, query } = useStore(route);
  const [helping, setHelping] = useState(false);
  useKeyboard(() => setHelping(true));
  return html`<div class="shell">
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector("h1")?.focus(); }}>${t("nav.skip")}</a>
    <aside class="side">
      <a class="brand" href="#/overview"><img src="/panel/icon.svg" width="26" height="26" alt="" /><span>vaultd</span></a>
      <${Navigation} page=${page} />
      <${Tools} help=${() => setHelping(true)} />
    </aside>
    <main class="main" id="main"><${LostLine} /><${Current} page=${page} query=${query} /></main>
    ${helping && html`<${Help} onClose=${() => setHelping(false)} />`}
  </div>`;
}

function App() {
  const lang = useStore(language);
  const key = useStore(managementKey);
  const [Entry, setEntry] = useState(null);
  useEffect(() => {
    if (key) return undefined;
    let timer = 0;
    // The daemon may be away just now; without the door there would be nothing on the page at all.
    const fetchDoor = () =>
      Promise.all([import("./entry.js"), loadTexts("entry")]).then(
        ([module]) => setEntry(() => module.default),
        () => (timer = setTimeout(fetchDoor, 2000)),
      );
    fetchDoor();
    return () => clearTimeout(timer);
  }, [key]);
  if (!key && !Entry) return null;
  return html`<div key=${lang}>${key ? html`<${Shell} />` : html`<${Entry} tools=${html`<${Tools} />`} />`}<${Toasts} /><${Confirm} /></div>`;
}

await loadTexts("shell");
render(html`<${App} />`, document.getElementById("app"));
