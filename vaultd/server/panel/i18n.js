// English and Chinese. A text is `t(key, {n: 3})`, its key begins with its page; braces name parameters. Each page has a flat map per language,
// `texts/<page>.en.js` and `texts/<page>.zh.js`, fetched with the page and only in the language in use. Where English
// has a singular, `key.one` stands beside `key` and is taken for n = 1.
import { store } from "./view.js";

export const LANGUAGES = { en: "English", zh: "中文" };
const texts = { en: {}, zh: {} };
const fetched = new Map();

export const language = store(document.documentElement.lang.startsWith("zh") ? "zh" : "en");

/** The texts of `page` ("shell" for what every page has) in the language in use. */
export function loadTexts(page, lang = language.get()) {
  const file = page === "shell" ? `./texts/${lang}.js` : `./texts/${page}.${lang}.js`;
  if (!fetched.has(file)) {
    const loading = import(file).then((module) => Object.assign(texts[lang], module.default));
    loading.catch(() => fetched.delete(file));
    fetched.set(file, loading);
  }
  return fetched.get(file);
}

export async function setLanguage(lang, pages) {
  await Promise.all(pages.map((page) => loadTexts(page, lang)));
  try {
    localStorage.setItem("vaultd.language", lang);
  } catch {
    // The choice lasts as long as the page.
  }
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  language.set(lang);
}

export function t(key, params = {}) {
  const map = texts[language.get()];
  const text = (params.n === 1 && map[`${key}.one`]) || map[key];
  if (text === undefined) return params.or ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = params[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? number(value) : String(value);
  });
}

/** Whether there is a text: for words that come from the daemon and may be newer than this page. */
export const known = (key) => texts[language.get()][key] !== undefined;

const locale = () => (language.get() === "zh" ? "zh-CN" : "en");
const formats = new Map();
function format(kind, options) {
  const id = `${kind.name}${locale()}${JSON.stringify(options)}`;
  if (!formats.has(id)) formats.set(id, new kind(locale(), options));
  return formats.get(id);
}

export const number = (value, options = {}) => format(Intl.NumberFormat, options).format(value);

/** 1234567 → 1.2M (123.5万): for plots and cards, where the exact figure stands in the tooltip. */
export const compact = (value) =>
  number(value, Math.abs(value) < 10000 ? { maximumFractionDigits: 1 } : { notation: "compact", maximumFractionDigits: 1 });

export const bytes = (value) => {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  let step = 0;
  while (value >= 1000 && step < 3) [value, step] = [value / 1000, step + 1];
  return number(value, { style: "unit", unit: units[step], unitDisplay: "short", maximumFractionDigits: step ? 1 : 0 });
};

/** A moment as the API gives it (RFC 3339, unix seconds) as a Date; null where there is none. */
export function moment(at) {
  if (at === null || at === undefined || at === "") return null;
  const date = at instanceof Date ? at : new Date(typeof at === "number" ? at * 1000 : at);
  return Number.isNaN(date.getTime()) ? null : date;
}

export const clock = (at) => format(Intl.DateTimeFormat, { timeStyle: "medium", hour12: false }).format(moment(at));
export const fullTime = (at) => format(Intl.DateTimeFormat, { dateStyle: "medium", timeStyle: "medium", hour12: false }).format(moment(at));
export const day = (at) => format(Intl.DateTimeFormat, { month: "short", day: "numeric" }).format(moment(at));
export const dayAndTime = (at) =>
  format(Intl.DateTimeFormat, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false }).format(moment(at));

/** A sentence of the daemon's, the moments in it told by this person's clock. */
export const spoken = (text) => text?.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (at) => dayAndTime(at));

const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** "in 3 hours", "5 minutes ago". */
export function relative(at, now = Date.now()) {
  const seconds = (moment(at).getTime() - now) / 1000;
  if (Math.abs(seconds) < 5) return t("time.now");
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? STEPS[3];
  return format(Intl.RelativeTimeFormat, { numeric: "always", style: "long" }).format(Math.trunc(seconds / size), unit);
}

/** 5400 → "1 h 30 min"; 0.42 → "0.42 s". */
export function duration(seconds) {
  if (seconds < 60) return t("time.s", { n: number(seconds, { maximumFractionDigits: seconds < 10 ? 2 : 0 }) });
  const parts = [];
  for (const [unit, size] of STEPS) {
    const count = Math.floor(seconds / size);
    if (count && unit !== "second") parts.push(t(`time.${unit[0]}`, { n: count }));
    seconds -= count * size;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}
