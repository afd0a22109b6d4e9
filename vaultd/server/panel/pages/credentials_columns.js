// One credential in the table: who it is, how it stands, how long its token lives, how much of its quota is used.
import { html } from "../view.js";
import { duration, moment, number, spoken, t } from "../i18n.js";
import { patch } from "../api.js";
import { Badge, Button, ExpiryBar, IconButton, Progress, State, Switch, Time, useNow } from "../ui.js";
import { nameOf } from "./sign_in.js";

export const inConfig = (row) => row.source === "config";
export const isLogin = (row) => row.kind !== "key";

export function columns(providers, act) {
  return [
    { key: "id", label: t("credentials.account"), title: true, render: (row) => html`<${Who} row=${row} providers=${providers} />` },
    { key: "state", label: t("credentials.state"), render: (row) => html`<${Standing} row=${row} act=${act} />` },
    { key: "expires_at", label: t("credentials.token"), render: (row) => html`<${Token} row=${row} />` },
    { key: "quota", label: t("credentials.quota"), render: (row) => html`<${Quota} windows=${row.quota} />` },
    { key: "acts", label: t("credentials.acts"), hideLabel: true, narrow: true, align: "end", render: (row) => html`<${Acts} row=${row} act=${act} />` },
  ];
}

export const accountOf = (row) => row.account || row.label || row.id;

export function Who({ row, providers }) {
  const who = accountOf(row);
  const more = [
    nameOf(providers, row.provider),
    row.label !== who && row.label,
    row.plan,
    inConfig(row) && t("credentials.in.config"),
    row.priority && t("credentials.priority.is", { n: row.priority }),
  ];
  return html`<span class="who">
    <span class="vendor-mark small" aria-hidden="true">${(nameOf(providers, row.provider) || "?").slice(0, 1).toUpperCase()}</span>
    <span class="who-words">
      <span class="who-name">${who}</span>
      <span class="who-more">${more.filter(Boolean).join(" · ")}</span>
    </span>
  </span>`;
}

/** A moment ahead, counted down. */
function Until({ at }) {
  const now = useNow(1);
  const date = moment(at);
  if (!date) return null;
  const left = (date.getTime() - now) / 1000;
  if (left <= 0) return html`<span>${t("credentials.any.moment")}</span>`;
  const words = left < 3600 ? `${Math.floor(left / 60)}:${String(Math.floor(left % 60)).padStart(2, "0")}` : duration(left);
  return html`<span class="number" title=${date.toLocaleString()}>${t("credentials.until", { time: words })}</span>`;
}

function Standing({ row, act }) {
  const cooling = row.state === "cooling";
  // What a button beside it does needs no words as well.
  const told = row.action && !["sign-in required", "disabled"].includes(row.state);
  return html`<div class="standing">
    <div class="row"><${State} state=${row.state} />${row.until && html`<${Until} at=${row.until} />`}
      ${row.running > 0 && html`<${Badge} tone="accent">${t("credentials.running", { n: row.running })}<//>`}
      ${cooling && html`<button type="button" class="link" onClick=${() => act.lift(row)}>${t("credentials.lift")}</button>`}
      ${row.state === "sign-in required" && isLogin(row) && html`<${Button} small onClick=${() => act.signIn(row)}>${t("credentials.sign-in.again")}<//>`}</div>
    ${row.reason && html`<p class="standing-why">${spoken(row.reason)}</p>`}
    ${told && html`<p class="standing-why muted">${t("credentials.next")} ${row.action}</p>`}
    ${row.renewal_fails && !row.reason.includes(row.renewal_fails) && html`<p class="standing-why warn-text">${t("credentials.renewal.fails", { why: row.renewal_fails })}</p>`}
    ${(row.cooling ?? []).map((rest) => html`<div class="rest" key=${rest.model}><code>${rest.model}</code>
      <p><span class="warn-text">${t("state.cooling")} <${Until} at=${rest.until} /></span>
        <button type="button" class="link" aria-label=${t("credentials.lift.label", { model: rest.model })} onClick=${() => act.lift(row, rest.model)}>${t("credentials.lift")}</button></p>
      <p class="muted">${rest.reason}</p></div>`)}
  </div>`;
}

function Token({ row }) {
  if (!isLogin(row)) return html`<span class="muted">${t("credentials.is.key")}</span>`;
  const [from, to] = [moment(row.renewed_at), moment(row.expires_at)];
  const lifetime = from && to && to > from ? (to - from) / 1000 : undefined;
  return html`<div class="token"><${ExpiryBar} expiresAt=${row.expires_at} lifetime=${lifetime} />
    ${row.renewed_at && html`<span class="muted">${t("credentials.renewed.at")} <${Time} at=${row.renewed_at} /></span>`}</div>`;
}

export function Quota({ windows }) {
  if (!windows?.length) return html`<span class="muted none">—</span>`;
  return html`<div class="quota">
    ${windows.map((window) => html`<${Window} key=${window.name} window=${window} />`)}
  </div>`;
}

/** What was used before a window began anew says nothing of it. */
function Window({ window: { name, used, resets_at: at } }) {
  const over = at && moment(at) <= Date.now();
  return html`<div>
    <${Progress} value=${over ? 0 : used} tone=${used >= 1 ? "bad" : used >= 0.8 ? "warn" : "accent"} label=${name}
      text=${over ? "—" : number(used, { style: "percent", maximumFractionDigits: 0 })} />
    ${at && html`<span class="muted">${t(over ? "credentials.reset" : "credentials.resets")} <${Time} at=${at} /></span>`}
  </div>`;
}

function Acts({ row, act }) {
  const toggle = (on) =>
    act.tell(() => patch(`/credentials/${encodeURIComponent(row.id)}`, { disabled: !on }), () => t(on ? "credentials.enabled" : "credentials.disabled", { id: row.id }));
  return html`<div class="acts">
    ${!inConfig(row) && isLogin(row) && html`<${IconButton} icon="refresh" label=${t("credentials.renew.label", { id: row.id })} onClick=${() => act.renew(row)} />`}
    ${!inConfig(row) && html`<${Switch} quiet label=${t("credentials.use.label", { id: row.id })} checked=${row.state !== "disabled"} onChange=${toggle} />`}
  </div>`;
}
