// One credential opened: all that is known of it, what can be set, and its end.
import { html, useState } from "../view.js";
import { number, spoken, t } from "../i18n.js";
import { download, patch, remove, useGet } from "../api.js";
import { Button, Dialog, ErrorNote, Facts, Field, Note, Skeleton, State, Time, toast } from "../ui.js";
import { Quota, accountOf, inConfig, isLogin } from "./credentials_columns.js";
import { nameOf } from "./sign_in.js";

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

export function Details({ row, providers, act, onClose, onChanged }) {
  const path = `/credentials/${encodeURIComponent(row.id)}`;
  const asked = useGet(path);
  const [removing, setRemoving] = useState(false);
  const more = { ...asked.data, ...row };
  const own = !inConfig(row);
  const save = async () => {
    try {
      await download("/auth-files/download", row.file, { name: row.file });
    } catch (error) {
      toast(error.message, { tone: "bad" });
    }
  };
  if (removing) return html`<${Removal} row=${row} path=${path} onBack=${() => setRemoving(false)} onClose=${onClose} onChanged=${onChanged} />`;
  const footer = own
    ? html`<${Button} kind="danger" icon="remove" class="first" onClick=${() => setRemoving(true)}>${t("credentials.remove")}<//>
        ${row.file && html`<${Button} icon="download" onClick=${save}>${t("credentials.download")}<//>`}
        ${isLogin(row) && html`<${Button} icon="refresh" onClick=${() => act.renew(row)}>${t("credentials.renew")}<//>`}`
    : html`<${Button} href="#/settings">${t("credentials.to.settings")}<//>`;
  return html`<${Dialog} wide title=${accountOf(row)} onClose=${onClose} footer=${footer}>
    <div class="details-head"><span class="muted">${[nameOf(providers, row.provider), row.plan].filter(Boolean).join(" · ")}</span><${State} state=${row.state} /></div>
    ${(row.reason || row.action) && html`<${Note} tone=${row.state === "available" ? "info" : "warn"} title=${spoken(row.reason)}
      action=${row.state === "sign-in required" && isLogin(row) && own && html`<${Button} onClick=${() => act.signIn(row)}>${t("credentials.sign-in.again")}<//>`}>${row.action}<//>`}
    <${Known} row=${more} />
    <${ErrorNote} error=${asked.error} retry=${asked.reload} />
    ${!own && html`<${Note}>${t("credentials.config.text")}<//>`}
    ${own && (asked.data ? html`<${Settings} key=${row.id} row=${more} path=${path} onChanged=${onChanged} />` : !asked.error && html`<${Skeleton} rows=${4} kind="row" />`)}
  <//>`;
}

function Known({ row }) {
  const facts = Object.entries(row.facts ?? {}).filter(([name]) => name !== "projects");
  const rows = [
    [t("credentials.id"), html`<code>${row.id}</code>`],
    [t("credentials.file"), row.file && html`<code>${row.file}</code>`],
    [t("credentials.base-url"), row.base_url && html`<code>${row.base_url}</code>`],
    [t("credentials.made"), row.created_at && html`<${Time} at=${row.created_at} />`],
    [t("credentials.renewed.at"), row.renewed_at && html`<${Time} at=${row.renewed_at} />`],
    [t("credentials.expires"), row.expires_at && html`<${Time} at=${row.expires_at} />`],
    [t("credentials.generation"), row.generation && number(row.generation)],
    [t("credentials.models"), row.models?.length > 0 && row.models.map((one) => one.alias || one.name).join(", ")],
    [t("credentials.quota"), row.quota?.length > 0 && html`<${Quota} windows=${row.quota} />`],
    ...facts.map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]),
  ];
  return html`<div class="known"><${Facts} rows=${rows.filter(([, value]) => value)} /></div>`;
}

/** What the person changed is sent, and nothing else. */
function Settings({ row, path, onChanged }) {
  const before = {
    priority: String(row.priority ?? 0),
    weight: String(row.weight ?? 1),
    parallel: String(row.max_parallel ?? 0),
    excluded_models: (row.excluded_models ?? []).join("\n"),
    projects: (row.projects ?? []).join("\n"),
    proxy: "",
  };
  const [now, setNow] = useState(before);
  const [global, setGlobal] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const set = (name) => (event) => setNow({ ...now, [name]: event.currentTarget.value });
  const changed = Object.keys(before).filter((name) => now[name].trim() !== before[name]);
  const save = async (event) => {
    event.preventDefault();
    const body = {};
    for (const name of changed) body[name] = LISTS.includes(name) ? lines(now[name]) : name === "proxy" ? now.proxy.trim() : Number(now[name]);
    if (global) body.proxy = "";
    setBusy(true);
    setError(null);
    try {
      await patch(path, body);
      toast(t("credentials.saved", { id: row.id }));
      setNow({ ...now, proxy: "" });
      setGlobal(false);
      await onChanged();
    } catch (refused) {
      setError(refused);
    }
    setBusy(false);
  };
  const count = (name) => ({ type: "number", step: 1, required: true, inputmode: "numeric", value: now[name], onInput: set(name) });
  const list = (name) => ({ as: "textarea", rows: 3, spellcheck: false, value: now[name], onInput: set(name), class: "mono-area" });
  // Code Assist counts by project; no other vendor's request names one.
  const projects = row.provider === "gemini" || row.projects?.length > 0;
  return html`<form class="credential-form" onSubmit=${save}>
    <h3>${t("credentials.settings")}</h3>
    <div class="three">
      <${Field} label=${t("credentials.priority")} hint=${t("credentials.priority.hint")} ...${count("priority")} />
      <${Field} label=${t("credentials.weight")} hint=${t("credentials.weight.hint")} min="1" ...${count("weight")} />
      <${Field} label=${t("credentials.parallel")} hint=${t("credentials.parallel.hint")} min="0" ...${count("parallel")} />
    </div>
    <div class=${projects ? "two" : ""}>
      <${Field} label=${t("credentials.excluded")} hint=${t("credentials.excluded.hint")} ...${list("excluded_models")} />
      ${projects && html`<${Field} label=${t("credentials.projects")} hint=${t("credentials.projects.hint")} ...${list("projects")} />`}
    </div>
    <${Field} label=${t("credentials.proxy")} hint=${t(row.own_proxy ? "credentials.proxy.own" : "credentials.proxy.hint")} placeholder="socks5://127.0.0.1:1080"
      autocomplete="off" spellcheck=${false} disabled=${global} value=${now.proxy} onInput=${set("proxy")} />
    ${row.own_proxy && html`<label class="choice"><input type="checkbox" checked=${global} onChange=${(event) => setGlobal(event.currentTarget.checked)} /><span>${t("credentials.proxy.drop")}</span></label>`}
    ${error && html`<${Note} tone="bad" title=${error.message}>${error.advice}<//>`}
    <div class="actions"><${Button} kind="primary" type="submit" busy=${busy} disabled=${!changed.length && !global}>${t("save")}<//></div>
  </form>`;
}
const LISTS = ["excluded_models", "projects"];

/** Its end: here alone, or at the vendor as well, so that a copy somewhere is worth nothing. */
function Removal({ row, path, onBack, onClose, onChanged }) {
  const [everywhere, setEverywhere] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const go = async () => {
    setBusy(true);
    try {
      const answer = await remove(path, { everywhere: everywhere ? 1 : undefined });
      toast(t(answer.revoked ? "credentials.removed.everywhere" : "credentials.removed", { id: row.id }));
      onClose();
      await onChanged();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  const footer = html`<${Button} onClick=${onBack}>${t("cancel")}<//><${Button} kind="danger" busy=${busy} onClick=${go}>${t("credentials.remove")}<//>`;
  return html`<${Dialog} title=${t("credentials.remove.title", { id: row.id })} onClose=${onClose} footer=${footer}>
    <p>${t(isLogin(row) ? "credentials.remove.text" : "credentials.remove.key")}</p>
    ${isLogin(row) && html`<label class="choice"><input type="checkbox" checked=${everywhere} onChange=${(event) => setEverywhere(event.currentTarget.checked)} />
      <span>${t("credentials.everywhere")}<span class="hint">${t("credentials.everywhere.hint")}</span></span></label>`}
    ${error && html`<${Note} tone="bad" title=${error.message}>${error.advice}<//>`}
  <//>`;
}
