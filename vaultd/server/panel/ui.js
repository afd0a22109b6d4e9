// The parts every page is made of. Each is one idea: what it is for stands above it. What needs more room has a file of its
// own and is passed on from here: dialogs and toasts (dialog.js), tables (table.js).
import { html, useEffect, useId, useRef, useState } from "./view.js";
import { duration, fullTime, moment, relative, t } from "./i18n.js";
import { Icon } from "./icons.js";

export { Icon } from "./icons.js";
export { Confirm, Dialog, Toasts, confirm, toast } from "./dialog.js";
export { Table } from "./table.js";

/** kind: "primary" (one per view), "plain", "quiet" (no border), "danger". `busy` shows it works and takes no second click. */
export function Button({ kind = "plain", icon, busy, small, children, class: more = "", disabled, href, ...rest }) {
  const classes = `button ${kind}${small ? " small" : ""} ${more}`;
  const inside = html`${busy ? html`<span class="spinner"></span>` : icon && html`<${Icon} name=${icon} size=${16} />`}
    ${children && html`<span>${children}</span>`}`;
  if (href) return html`<a class=${classes} href=${href} ...${rest}>${inside}</a>`;
  return html`<button type="button" class=${classes} disabled=${disabled || busy} aria-busy=${busy ? "true" : undefined} ...${rest}>
    ${inside}
  </button>`;
}

/** An icon alone; `label` is what it is called, for a pointer that rests on it and for who cannot see it. */
export function IconButton({ icon, label, class: more = "", ...rest }) {
  return html`<button type="button" class=${`icon-button ${more}`} aria-label=${label} title=${label} ...${rest}>
    <${Icon} name=${icon} />
  </button>`;
}

/** tone: "ok", "warn", "bad", "accent", "idle". Colour never stands alone: the word says it too. */
export function Badge({ tone = "idle", children, title }) {
  return html`<span class=${`badge ${tone}`} title=${title}>${children}</span>`;
}

/** The tone and the word of a credential's state, as the API spells it. */
export const STATE_TONES = {
  available: "ok",
  cooling: "warn",
  "sign-in required": "bad",
  disabled: "idle",
  "no provider": "bad",
};
export function State({ state, title }) {
  return html`<${Badge} tone=${STATE_TONES[state] ?? "idle"} title=${title}>${t(`state.${state}`, { or: state })}<//>`;
}

/** A labelled control. `as`: "input", "textarea", "select" (with `options` [{value, label}]); all else goes to the control. */
export function Field({ label, hint, error, as = "input", options, class: more = "", children, ...rest }) {
  const id = useId();
  const about = [hint && `${id}h`, error && `${id}e`].filter(Boolean).join(" ") || undefined;
  const given = { id, "aria-describedby": about, "aria-invalid": error ? "true" : undefined, ...rest };
  return html`<div class=${`field ${more}`}>
    <label for=${id}>${label}</label>
    ${as === "select"
      ? html`<select ...${given}>
          ${options.map((one) => html`<option key=${one.value} value=${one.value} selected=${one.value === rest.value}>${one.label}</option>`)}
        </select>`
      : as === "textarea"
        ? html`<textarea ...${given}></textarea>`
        : html`<input ...${given} />`}
    ${children}
    ${hint && html`<p class="hint" id=${`${id}h`}>${hint}</p>`}
    ${error && html`<p class="field-error" id=${`${id}e`} role="alert"><${Icon} name="alert" size=${14} /> ${error}</p>`}
  </div>`;
}

/** On or off, at once. `label` is seen unless `quiet`. */
export function Switch({ label, checked, onChange, disabled, quiet }) {
  return html`<label class="switch">
    <input type="checkbox" role="switch" checked=${checked} disabled=${disabled} aria-label=${quiet ? label : undefined}
      onChange=${(event) => onChange(event.currentTarget.checked)} />
    <span class="track" aria-hidden="true"></span>
    ${!quiet && html`<span>${label}</span>`}
  </label>`;
}

/** Puts text on the clipboard and says so; `bare`: an icon alone, beside what it copies. Where the browser refuses (plain http from afar), the text is selected instead. */
export function CopyButton({ text, label = t("copy"), kind = "quiet", small = true, bare }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => setCopied(await toClipboard(text));
  if (bare) return html`<${IconButton} icon=${copied ? "check" : "copy"} label=${copied ? t("copied") : label} class="inline" onClick=${copy} />`;
  return html`<${Button} kind=${kind} small=${small} icon=${copied ? "check" : "copy"} onClick=${copy}>
    <span aria-live="polite">${copied ? t("copied") : label}</span>
  <//>`;
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard needs a secure context; a textarea's own copy does not. Inside a dialog it must stand in the dialog,
    // for all else is inert.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "off-screen";
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** Code to take along. `lines` keeps long lines on one line and scrolls. */
export function CopyBlock({ code, label }) {
  return html`<figure class="code-block">
    <figcaption><span>${label}</span><${CopyButton} text=${code} /></figcaption>
    <pre tabindex="0" role="region" aria-label=${label}><code>${code}</code></pre>
  </figure>`;
}

/** Nothing here: why, and the next thing to do. */
export function Empty({ icon = "info", title, children, action }) {
  return html`<div class="empty">
    <${Icon} name=${icon} size=${28} />
    <p class="empty-title">${title}</p>
    ${children && html`<p>${children}</p>`}
    ${action && html`<div class="empty-action">${action}</div>`}
  </div>`;
}

/** What will stand here, greyed, at the height it will have, so that nothing jumps. */
export function Skeleton({ rows = 3, kind = "line" }) {
  return html`<div class="skeletons" aria-busy="true" aria-label=${t("loading")} role="status">
    ${Array.from({ length: rows }, (_, n) => html`<span key=${n} class=${`skeleton ${kind}`}></span>`)}
  </div>`;
}

/** A share of 1 as a bar; `label` names it, `text` says the figure. */
export function Progress({ value, tone = "accent", label, text }) {
  const share = Math.max(0, Math.min(1, value ?? 0));
  return html`<div class="progress">
    ${(label || text) && html`<div class="progress-words"><span>${label}</span><span class="number">${text}</span></div>`}
    <div class=${`bar ${tone}`} role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}
      aria-label=${label ?? text} aria-valuetext=${text}><i style=${{ width: `${share * 100}%` }}></i></div>
  </div>`;
}

/** How long a token still lives, of `lifetime` seconds (an hour if unknown: what most vendors give). */
export function ExpiryBar({ expiresAt, lifetime = 3600 }) {
  const now = useNow(10);
  const at = moment(expiresAt);
  if (!at) return html`<span class="muted">${t("expiry.never")}</span>`;
  const left = (at.getTime() - now) / 1000;
  const tone = left <= 0 ? "bad" : left < lifetime * 0.1 ? "warn" : "ok";
  const text = left <= 0 ? t("expiry.gone", { when: relative(at, now) }) : t("expiry.left", { time: duration(Math.round(left)) });
  return html`<${Progress} value=${left / lifetime} tone=${tone} text=${text} />`;
}

/** Tabs as ARIA has them: arrows move, one tab stop. tabs: [{id, label}]. The panel below is the caller's. */
export function Tabs({ tabs, current, onChange, label }) {
  const row = useRef(null);
  const step = (event) => {
    const at = tabs.findIndex((tab) => tab.id === current);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = (to + tabs.length) % tabs.length;
    onChange(tabs[next].id);
    row.current.children[next].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${row} onKeyDown=${step}>
    ${tabs.map((tab) => html`<button type="button" key=${tab.id} role="tab" class="tab" aria-selected=${tab.id === current ? "true" : "false"}
      tabindex=${tab.id === current ? 0 : -1} onClick=${() => onChange(tab.id)}>${tab.label}</button>`)}
  </div>`;
}

/** The time now in ms, drawn anew every `every` seconds while the page is seen. */
export function useNow(every = 1) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setNow(Date.now()), every * 1000);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** A moment, told relative to now; the exact one when pointed at. */
export function Time({ at, none = "—" }) {
  const now = useNow(10);
  const date = moment(at);
  if (!date) return html`<span class="muted">${none}</span>`;
  return html`<time datetime=${date.toISOString()} title=${fullTime(date)}>${relative(date, now)}</time>`;
}

/** A part of a page with its heading; `actions` stand to the right of it. */
export function Card({ title, hint, actions, children, class: more = "", flush }) {
  const id = useId();
  return html`<section class=${`card ${flush ? "flush" : ""} ${more}`} aria-labelledby=${title ? id : undefined}>
    ${title && html`<header class="card-head">
      <div><h2 id=${id}>${title}</h2>${hint && html`<p class="hint">${hint}</p>`}</div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>`}
    <div class="card-body">${children}</div>
  </section>`;
}

/** The head of a page. */
export function Page({ title, sub, actions, children }) {
  return html`<div class="page">
    <header class="page-head">
      <div><h1 tabindex="-1">${title}</h1>${sub && html`<p class="sub">${sub}</p>`}</div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>
    ${children}
  </div>`;
}

/** What went wrong, what to do about it, and another try where there is one. */
export function ErrorNote({ error, retry }) {
  if (!error) return null;
  return html`<div class="note bad" role="alert">
    <${Icon} name="alert" />
    <div><p class="note-title">${error.message}</p>${error.advice && html`<p>${error.advice}</p>`}</div>
    ${retry && html`<${Button} small onClick=${retry}>${t("retry")}<//>`}
  </div>`;
}

/** tone: "info", "warn", "bad". */
export function Note({ tone = "info", title, children, action }) {
  return html`<div class=${`note ${tone}`}>
    <${Icon} name=${tone === "info" ? "info" : "alert"} />
    <div>${title && html`<p class="note-title">${title}</p>`}${children && html`<div>${children}</div>`}</div>
    ${action}
  </div>`;
}

/** The box that `/` goes to. */
export function Filter({ value, onInput, label = t("filter") }) {
  return html`<div class="filter">
    <${Icon} name="search" size=${16} />
    <input type="search" data-filter value=${value} placeholder=${label} aria-label=${label} autocomplete="off" spellcheck=${false}
      onInput=${(event) => onInput(event.currentTarget.value)}
      onKeyDown=${(event) => event.key === "Escape" && (value ? onInput("") : event.currentTarget.blur())} />
    <kbd aria-hidden="true">/</kbd>
  </div>`;
}

/** Names and values, one under the other. rows: [[name, value], …]. */
export function Facts({ rows }) {
  return html`<dl class="facts">
    ${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}
