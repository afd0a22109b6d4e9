// The way to the daemon: every call with the management key in a header (never in a URL, never in a cookie), refusals as
// errors that say what to do, and the stream of events, which is read by fetch because EventSource can send no header.
import { store, useCallback, useEffect, useRef, useState } from "./view.js";
import { t } from "./i18n.js";

export const BASE = "/v0/management";
const KEPT = "vaultd.key";

/** The management key, for as long as this tab lives. `null`: nobody has given one. */
export const managementKey = store(sessionStorage.getItem(KEPT));

/** Why the key prompt stands there: an `ApiError` of 401, 403 or 404, or null. */
export const turnedAway = store(null);

/** Whether the event stream stands: "idle", "open", "lost". */
export const line = store("idle");

/** Counts how often the stream came back: what a page shows may be of before, so it asks again. */
export const returned = store(0);

export function keepKey(key) {
  sessionStorage.setItem(KEPT, key);
  turnedAway.set(null);
  managementKey.set(key);
}

export function forgetKey(reason = null) {
  sessionStorage.removeItem(KEPT);
  turnedAway.set(reason);
  managementKey.set(null);
}

/** `status` 0: the daemon was not reached. `advice` says what a person can do about it. */
export class ApiError extends Error {
  constructor(status, message, body = null, retryAfter = null) {
    super(message);
    this.status = status;
    this.body = body;
    this.retryAfter = retryAfter;
  }

  get advice() {
    if (this.status === 0) return t("error.unreachable");
    if (this.status === 401) return t("error.key");
    if (this.status === 403) return t("error.forbidden");
    if (this.status === 404 && !this.body?.error) return t("error.missing");
    if (this.status === 409 || this.status === 412) return t("error.changed");
    if (this.status === 413) return t("error.large");
    if (this.status === 429) return t("error.later");
    if (this.status >= 500) return t("error.server");
    return "";
  }
}

async function refusal(response) {
  const text = await response.text().catch((error) => {
    if (error.name === "AbortError") throw error; // nobody asks any more: no reason of its own
    return "";
  });
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Not JSON: a proxy in between answered.
  }
  const said = body?.message || body?.error?.message || body?.error || response.statusText || String(response.status);
  return new ApiError(response.status, String(said), body, Number(response.headers.get("Retry-After")) || null);
}

/** The bare response; throws `ApiError` unless it is 2xx. `body`: an object goes as JSON, all else as it is. */
export async function request(method, path, { body, query, headers = {}, signal, key } = {}) {
  const url = new URL(BASE + path, location.origin);
  for (const [name, value] of Object.entries(query ?? {}))
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  const init = { method, signal, cache: "no-store", credentials: "omit", headers: { ...headers } };
  init.headers.Authorization = `Bearer ${key ?? managementKey.get() ?? ""}`;
  const plain = body !== null && typeof body === "object" && !(body instanceof FormData || body instanceof Blob);
  if (body !== undefined) init.body = plain ? JSON.stringify(body) : body;
  if (plain) init.headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, t("error.network"));
  }
  if (response.ok) return response;
  const error = await refusal(response);
  if (key === undefined && (error.status === 401 || isClosed(error))) forgetKey(error);
  throw error;
}

/** Refused at the gate, whatever was asked: banned, or remote management is off. */
const isClosed = (error) => error.status === 403 && /banned|remote management|key not set/i.test(error.message);

/** The JSON of an answer (null for 204). */
export async function call(method, path, options = {}) {
  const response = await request(method, path, options);
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, t("error.network")); // cut short, or of something that stands in between
  }
}

export const get = (path, query, options = {}) => call("GET", path, { ...options, query });
export const post = (path, body = {}, options = {}) => call("POST", path, { ...options, body });
export const put = (path, body, options = {}) => call("PUT", path, { ...options, body });
export const patch = (path, body, options = {}) => call("PATCH", path, { ...options, body });
export const remove = (path, query, options = {}) => call("DELETE", path, { ...options, query });

/** Offers an answer as a file to save. */
export async function download(path, name, query) {
  const blob = await (await request("GET", path, { query })).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** What a page shows: `{data, error, loading, reload}`. Asked again when `path` or `query` changes, every `every`
 * seconds if given, when one of `topics` speaks, and when the daemon is back. The last answer stays while the next is on its
 * way; one that is slower than the next question is shown all the same, and the clock asks no second time meanwhile. */
export function useGet(path, { query, every = 0, topics = "" } = {}) {
  const [state, setState] = useState({ data: null, error: null, loading: true });
  const asked = useRef(0);
  const shown = useRef(0);
  const wanted = JSON.stringify(query ?? {});
  const reload = useCallback(async () => {
    if (path === null) return;
    const mine = ++asked.current;
    const show = (next) => {
      if (mine <= shown.current) return;
      shown.current = mine;
      setState(next);
    };
    try {
      const data = await get(path, JSON.parse(wanted));
      show({ data, error: null, loading: false });
    } catch (error) {
      show((old) => ({ data: old.data, error, loading: false }));
    }
  }, [path, wanted]);
  useEffect(() => {
    reload();
    const timer = every ? setInterval(() => document.hidden || asked.current > shown.current || reload(), every * 1000) : 0;
    const stops = topics.split(" ").filter(Boolean).map((topic) => listen(topic, soon(reload)));
    stops.push(returned.listen(reload));
    return () => {
      shown.current = asked.current;
      clearInterval(timer);
      for (const stop of stops) stop();
    };
  }, [reload, every, topics]);
  return { ...state, reload };
}

/** Many events in a row ask once, half a second after the first. */
function soon(act) {
  let waiting = 0;
  return () => {
    waiting ||= setTimeout(() => {
      waiting = 0;
      act();
    }, 500);
  };
}

/** Server-sent events of a response, as `[event, data]`; the grammar of the HTML standard, §9.2.6. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = "message";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const text of lines) {
        if (text === "") {
          if (data.length) yield [event, JSON.parse(data.join("\n"))];
          [event, data] = ["message", []];
        } else if (text.startsWith("event:")) event = text.slice(6).trim();
        else if (text.startsWith("data:")) data.push(text.slice(5).trimStart());
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** POST whose answer is a stream: `tell(event, data)` for each. */
export async function stream(path, body, tell, signal) {
  const response = await request("POST", path, { body, signal, headers: { Accept: "text/event-stream" } });
  for await (const [event, data] of events(response)) tell(event, data);
}

const ears = new Map();
let wire = null;

/** `tell(data)` for each event of `topic`, over the one stream all listeners share. Returns how to stop. */
export function listen(topic, tell) {
  if (!ears.has(topic)) ears.set(topic, new Set());
  ears.get(topic).add(tell);
  rewire();
  return () => {
    ears.get(topic)?.delete(tell);
    if (!ears.get(topic)?.size) ears.delete(topic);
    rewire();
  };
}

export function useEvents(topic, tell) {
  const last = useRef(tell);
  last.current = tell;
  useEffect(() => listen(topic, (data) => last.current(data)), [topic]);
}

/** One connection for the topics somebody listens to; a page that is left closes what it alone wanted. Waits for the
 * end of the task, so that changing pages opens one stream and not three. */
let rewiring = 0;
function rewire() {
  rewiring ||= setTimeout(() => {
    rewiring = 0;
    const topics = [...ears.keys()].sort().join(",");
    if (topics === (wire?.topics ?? "") && managementKey.get()) return;
    wire?.stop.abort();
    wire = topics && managementKey.get() ? { topics, stop: new AbortController() } : null;
    if (wire) follow(wire);
    else line.set("idle");
  }, 0);
}
managementKey.listen(rewire);

/** Reads until told to stop; after a loss it asks again, soon at first, then every 15 s as the stream's own beat is. */
async function follow(mine) {
  let pause = 1;
  while (mine === wire) {
    try {
      const response = await request("GET", "/events", { query: { topics: mine.topics }, signal: mine.stop.signal });
      if (line.get() === "lost") returned.set(returned.get() + 1);
      line.set("open");
      pause = 1;
      for await (const [event, data] of events(response)) for (const tell of [...(ears.get(event) ?? [])]) tell(data);
    } catch (error) {
      if (mine !== wire || error.name === "AbortError") return;
      if (error.status === 401 || error.status === 403) return;
    }
    if (mine !== wire) return;
    line.set("lost");
    await new Promise((resolve) => setTimeout(resolve, pause * 1000));
    pause = Math.min(pause * 2, 15);
  }
}
