// Settings: every key of the configuration with its meaning, changed here in the file itself, whose comments and order stay.
// What was changed and not saved outlasts a look at another page; it is gone with the tab.
import { html, store, useEffect, useMemo, useRef, useState, useStore } from "../view.js";
import { t } from "../i18n.js";
import { patch, post, useGet } from "../api.js";
import { Button, Card, Empty, ErrorNote, Filter, Note, Page, Skeleton, Tabs, toast } from "../ui.js";
import { Row, meaning } from "./settings_row.js";
import { Review } from "./settings_review.js";
import { Raw } from "./settings_raw.js";
import { bare, editsOf, grouped } from "./settings_values.js";

/** path → {content} or {remove: true}. */
const drafted = store({});

export default function Settings({ query }) {
  const [tab, setTab] = useState("keys");
  const state = useGet("/config/keys", { every: 30 });
  const file = state.data?.file;
  return html`<${Page} title=${t("nav.settings")} sub=${file && html`<span class="break">${t("settings.file")} <code>${file}</code></span>`}>
    <${Tabs} label=${t("nav.settings")} current=${tab} onChange=${setTab} tabs=${["keys", "file"].map((id) => ({ id, label: t(`settings.tab.${id}`) }))} />
    <div class="stack settings-panel" role="tabpanel" aria-label=${t(`settings.tab.${tab}`)}>
      ${state.data && state.error && html`<${ErrorNote} error=${state.error} retry=${state.reload} />`}
      ${state.data && !state.data.writable && html`<${Note} tone="warn" title=${t("settings.read-only")}>${t("settings.read-only.text")}<//>`}
      ${!state.data
        ? state.error ? html`<${ErrorNote} error=${state.error} retry=${state.reload} />` : html`<${Skeleton} rows=${8} kind="row" />`
        : tab === "keys"
          ? html`<${Keys} asked=${state.data} reload=${state.reload} wanted=${query.filter ?? ""} />`
          : html`<${Raw} source=${file} writable=${state.data.writable} onSaved=${state.reload} />`}
    </div>
  <//>`;
}

function Keys({ asked, reload, wanted }) {
  const [filter, setFilter] = useState(wanted);
  const draft = useStore(drafted);
  const [review, setReview] = useState(null);
  const [busy, setBusy] = useState(false);
  const keys = asked.keys;
  const { edits, errors } = useMemo(() => editsOf(keys, draft), [keys, draft]);
  const refusals = useChecked(edits);
  const box = useRef(null);
  useEffect(() => setFilter(wanted), [wanted]);
  useWarned(edits.length > 0);
  const set = (path, change) => {
    const { [path]: _, ...rest } = drafted.get();
    drafted.set(change ? { ...rest, [path]: change } : rest);
  };
  const wrong = { ...Object.fromEntries(Object.entries(errors).map(([path, { error, detail }]) => [path, [t(error), detail].filter(Boolean).join(" ")])) };
  for (const { path, message } of refusals.errors) wrong[ownerOf(keys, path)] ??= bare(message, asked.file, path);
  const look = async () => {
    setBusy(true);
    try {
      const answer = await post("/config/check", { edits });
      refusals.set(answer);
      // A field that is wrong is gone to; a fault that belongs to no field is told in the dialog.
      if (!answer.ok && answer.errors.some(({ path }) => ownerOf(keys, path))) {
        setFilter("");
        setTimeout(() => box.current?.querySelector("[aria-invalid=true]")?.focus(), 50);
      } else setReview(answer);
    } catch (error) {
      toast([error.message, error.advice].filter(Boolean).join(" "), { tone: "bad" });
    }
    setBusy(false);
  };
  const save = async (etag) => {
    const answer = await patch("/config", { edits, etag });
    drafted.set({});
    setReview(null);
    const restart = keys.some((key) => key.restart && answer.changed.includes(key.path));
    toast(t(restart ? "settings.saved.restart" : "settings.saved"), { tone: restart ? "warn" : "ok" });
    await reload();
  };
  const seen = filtered(keys, filter, draft);
  const groups = grouped(seen);
  const count = edits.length + Object.keys(errors).length;
  return html`<div class="stack" ref=${box}>
    <div class="settings-tools"><${Filter} value=${filter} onInput=${setFilter} label=${t("settings.filter")} /></div>
    ${!seen.length && html`<${Card}><${Empty} icon="search" title=${t("settings.none")} /><//>`}
    <div class="settings-parts">
      <${Sections} groups=${groups} box=${box} />
      <div class="stack">${groups.map(([group, members]) => html`<div class="settings-group" key=${group} data-group=${group}><${Card} title=${titleOf(group)}>
        <div class="settings-rows">
          ${members.map((key) => html`<${Row} key=${key.path} entry=${key} change=${draft[key.path]} error=${wrong[key.path]} writable=${asked.writable} onChange=${(change) => set(key.path, change)} />`)}
        </div>
      <//></div>`)}</div>
    </div>
    ${count > 0 && html`<div class="unsaved" role="region" aria-label=${t("settings.unsaved", { n: count })}>
      <p role="status"><b>${t("settings.unsaved", { n: count })}</b>${Object.keys(wrong).length > 0 && html` <span class="bad-text">${t("settings.wrong", { n: Object.keys(wrong).length })}</span>`}</p>
      <div class="actions"><${Button} kind="quiet" onClick=${() => drafted.set({})}>${t("settings.discard")}<//>
        <${Button} kind="primary" busy=${busy} disabled=${!edits.length || Object.keys(errors).length > 0} onClick=${look}>${t("settings.review")}<//></div>
    </div>`}
    ${review && html`<${Review} answer=${review} etag=${asked.etag} save=${save} onClose=${() => setReview(null)} reload=${reload} />`}
  </div>`;
}

const titleOf = (group) => t(`settings.group.${group}`, { or: group });

/** The way down a long page, beside it where there is room. */
function Sections({ groups, box }) {
  const go = (group) => {
    const part = box.current.querySelector(`[data-group="${group}"]`);
    part.scrollIntoView({ block: "start" });
    part.querySelector("input, select, textarea, button")?.focus({ preventScroll: true });
  };
  return html`<nav class="settings-sections" aria-label=${t("settings.sections")}>
    ${groups.map(([group]) => html`<button type="button" key=${group} onClick=${() => go(group)}>${titleOf(group)}</button>`)}
  </nav>`;
}

/** The key an error belongs to: `payload.default[0].models` is told at `payload.default`. "" for none. */
function ownerOf(keys, path) {
  const plain = (path ?? "").replace(/\[\d+\]/g, "");
  return keys.find((key) => key.path === plain)?.path ?? keys.find((key) => plain.startsWith(`${key.path}.`))?.path ?? "";
}

function filtered(keys, filter, draft) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return keys;
  return keys.filter((key) => {
    const text = `${key.path} ${key.says} ${meaning(key)}`.toLowerCase();
    return draft[key.path] || words.every((word) => text.includes(word));
  });
}

/** What the daemon says to the edits, half a second after the last of them. */
function useChecked(edits) {
  const [answer, set] = useState({ errors: [] });
  const asked = JSON.stringify(edits);
  useEffect(() => {
    if (!edits.length) return set({ errors: [] });
    const stop = new AbortController();
    const timer = setTimeout(
      () => post("/config/check", { edits }, { signal: stop.signal }).then(set, () => {
        // Saving asks again, and says what is wrong.
      }),
      500,
    );
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [asked]);
  return { errors: edits.length ? (answer.errors ?? []) : [], set };
}

/** Leaving the tab with unsaved changes asks first. */
function useWarned(dirty) {
  useEffect(() => {
    if (!dirty) return undefined;
    const ask = (event) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [dirty]);
}
