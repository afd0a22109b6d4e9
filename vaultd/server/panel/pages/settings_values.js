// What a person types and what the configuration holds, both ways; and how keys are gathered into sections. Nothing here
// draws, and nothing decides whether a value is right: the daemon does (`POST /config/check`).

/** Keys without a section of their own, gathered by what they are for, in the order in which a person sets a daemon up. */
const HOMES = {
  network: ["host", "port", "allowed-hosts", "trusted-proxies", "proxy-url", "ws-auth"],
  access: ["api-keys"],
  keys: ["gemini-api-key", "claude-api-key", "codex-api-key", "openai-compatibility"],
  catalogue: ["providers", "providers-dir", "models", "force-gpt-5-codex"],
  serving: ["request-retry", "max-retry-credentials", "disable-cooling"],
  logs: ["debug", "logging-to-file", "request-log", "usage-statistics-enabled"],
  storage: ["auth-dir"],
};
/** Sections of the file that stand with such a group instead of alone. */
const JOINED = { tls: "network", vault: "storage", routing: "serving", cooldown: "serving", "quota-exceeded": "serving", payload: "catalogue", "gemini-cli": "access", usage: "logs", tracing: "alerts" };
const ORDER = ["network", "access", "remote-management", "keys", "serving", "streaming", "catalogue", "logs", "alerts", "storage"];

export function homeOf(path) {
  const [section, inner] = path.split(".", 2);
  for (const [home, paths] of Object.entries(HOMES)) if (paths.includes(path)) return home;
  if (/^(log|request-log|error-log)/.test(section)) return "logs";
  if (JOINED[section]) return JOINED[section];
  return inner === undefined ? "other" : section;
}

/** `[[group, keys]…]` in reading order; what nobody placed comes last, under its own section's name. */
export function grouped(keys) {
  const groups = new Map();
  for (const key of keys) {
    const home = homeOf(key.path);
    if (!groups.has(home)) groups.set(home, []);
    groups.get(home).push(key);
  }
  const place = (home) => (home === "other" ? 99 : ORDER.includes(home) ? ORDER.indexOf(home) : 98);
  return [...groups].sort(([a], [b]) => place(a) - place(b));
}

/** How a key is edited: switch, choice, integer, number, text, lines (a list of text), json (all that nests). */
export function controlOf(key) {
  if (key.type === "boolean") return "switch";
  if (key.choices?.length) return "choice";
  if (key.type === "list") return isLines(key) ? "lines" : "json";
  if (key.type === "object") return "json";
  return key.type === "integer" || key.type === "number" ? key.type : "text";
}

function isLines(key) {
  if (key.of) return key.of === "string";
  const members = [...(key.value ?? []), ...(key.default ?? [])];
  return members.length > 0 && members.every((member) => typeof member === "string");
}

/** The value as it stands in its control. */
export function shown(key, value) {
  switch (controlOf(key)) {
    case "switch":
      return Boolean(value);
    case "lines":
      return (value ?? []).join("\n");
    case "json":
      return isEmpty(value) ? "" : JSON.stringify(value, null, 2);
    default:
      return value === null || value === undefined ? "" : String(value);
  }
}

/** `{value}` or `{error}` (the name of a text): what the control's content means. */
export function read(key, content) {
  switch (controlOf(key)) {
    case "switch":
    case "choice":
    case "text":
      return { value: content };
    case "integer":
    case "number":
      return number(content, controlOf(key) === "integer");
    case "lines":
      return { value: content.split("\n").map((line) => line.trim()).filter(Boolean) };
    default:
      return parsed(key, content);
  }
}

function number(content, whole) {
  const value = Number(content);
  if (content.trim() === "" || Number.isNaN(value)) return { error: "settings.error.number" };
  if (whole && !Number.isInteger(value)) return { error: "settings.error.integer" };
  return { value };
}

function parsed(key, content) {
  if (content.trim() === "") return { value: key.type === "list" ? [] : {} };
  try {
    const value = JSON.parse(content);
    if (Array.isArray(value) !== (key.type === "list") || typeof value !== "object" || value === null)
      return { error: key.type === "list" ? "settings.error.list" : "settings.error.object" };
    return { value };
  } catch (error) {
    return { error: "settings.error.json", detail: error.message };
  }
}

/** What is wrong, without where: it is told where it is. */
export const bare = (message, ...places) => places.reduce((text, place) => (place ? text.replace(`${place}: `, "") : text), message);

export const isEmpty = (value) =>
  value === null || value === undefined || value === "" || (typeof value === "object" && Object.keys(value).length === 0);

/** The same value, whatever the order of members is. */
export function same(a, b) {
  if (a === b) return true;
  if (isEmpty(a) && isEmpty(b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => same(a[name], b[name]));
}

/** A value in one short line, as "the default is …" says it. */
export function inWords(value) {
  if (isEmpty(value)) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The edits of a draft (`path → {content}` or `{remove: true}`), or the paths whose content cannot be read. */
export function editsOf(keys, draft) {
  const edits = [];
  const errors = {};
  for (const key of keys) {
    const change = draft[key.path];
    if (!change) continue;
    if (change.remove) {
      edits.push({ path: key.path, remove: true });
      continue;
    }
    const { value, error, detail } = read(key, change.content);
    if (error) errors[key.path] = { error, detail };
    else if (!same(value, key.value)) edits.push({ path: key.path, value });
  }
  return { edits, errors };
}
