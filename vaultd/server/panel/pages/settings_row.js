// One key: its name, its meaning, whether it stands in the file, and the control that fits its type.
import { html, useId, useState } from "../view.js";
import { known, t } from "../i18n.js";
import { Badge, Button, Icon, Switch } from "../ui.js";
import { controlOf, inWords, isEmpty, shown } from "./settings_values.js";

/** Its meaning in the language in use; where there is none, as the daemon says it. */
export const meaning = (key) => (known(`settings.says.${key.path}`) ? t(`settings.says.${key.path}`) : (key.says ?? ""));

/** Words with `code` in backticks. */
function Words({ text }) {
  return text.split(/`([^`]+)`/).map((part, n) => (n % 2 ? html`<code key=${n}>${part}</code>` : part));
}

export function Row({ entry: key, change, error, writable, onChange }) {
  const id = useId();
  const control = controlOf(key);
  const removed = change?.remove;
  const byDefault = inWords(key.default);
  // What nests is seldom set: an empty one is a button until somebody wants it.
  const nested = control === "json" || control === "lines";
  const [opened, setOpened] = useState(!isEmpty(key.value));
  const long = nested && (opened || Boolean(change));
  const editable = writable && !key.locked;
  return html`<div class=${`setting ${long ? "long" : ""} ${change ? "changed" : ""}`}>
    <div class="setting-words">
      <p class="setting-name"><label id=${`${id}n`} for=${nested && !long ? undefined : id}><code>${key.path}</code></label>
        ${change && html`<${Badge} tone="accent">${t("settings.changed")}<//>`}
        ${!change && key.set && html`<${Badge} title=${t("settings.set.title")}>${t("settings.set")}<//>`}
        ${key.restart && html`<${Badge} tone="warn" title=${t("settings.restart.title")}>${t("settings.restart")}<//>`}
        ${key.locked && html`<span class="locked" title=${t("settings.locked.title")}><${Icon} name="lock" size=${14} />${t("settings.locked")}</span>`}
      </p>
      <p class="setting-says" id=${`${id}h`}><${Words} text=${meaning(key)} /></p>
      ${key.locked && html`<p class="setting-says">${t("settings.locked.title")}</p>`}
    </div>
    <div class="setting-control">
      ${nested && !long
        ? html`<${Button} small id=${`${id}b`} class="start" icon="edit" disabled=${!editable} aria-labelledby=${`${id}b ${id}n`} aria-describedby=${`${id}h`} onClick=${() => setOpened(true)}>${t("settings.add")}<//>`
        : html`<${Control} id=${id} entry=${key} control=${control} change=${change} error=${error} disabled=${!editable || removed} onChange=${onChange} />`}
      ${error && html`<p class="field-error" id=${`${id}e`} role="alert"><${Icon} name="alert" size=${14} /> ${error}</p>`}
      ${(change || key.set) && html`<div class="setting-under">
        <span class="muted break">${removed
          ? t("settings.removed")
          : key.secret
            ? html`<${Icon} name="lock" size=${12} /> ${t(nested ? "settings.secret.inside" : "settings.secret")}`
            : byDefault && html`${t("settings.default")} <code>${byDefault.length > 80 ? `${byDefault.slice(0, 80)}…` : byDefault}</code>`}</span>
        ${change
          ? html`<${Button} small kind="quiet" onClick=${() => onChange(null)}>${t("settings.undo")}<//>`
          : editable && html`<${Button} small kind="quiet" onClick=${() => onChange({ remove: true })}>${t("settings.remove")}<//>`}
      </div>`}
    </div>
  </div>`;
}

function Control({ id, entry: key, control, change, error, disabled, onChange }) {
  const now = change?.remove ? shown(key, key.default) : (change?.content ?? shown(key, key.value));
  const told = (content) => onChange(same(key, content) ? null : { content });
  const about = [`${id}h`, error && `${id}e`].filter(Boolean).join(" ");
  const given = { id, disabled, "aria-describedby": about, "aria-invalid": error ? "true" : undefined };
  const typed = (event) => told(event.currentTarget.value);
  if (control === "switch") return html`<${Switch} quiet label=${key.path} checked=${now} disabled=${disabled} onChange=${told} />`;
  if (control === "choice")
    return html`<select ...${given} onChange=${typed}>${key.choices.map((choice) => html`<option key=${choice} value=${choice} selected=${choice === now}>${choice}</option>`)}</select>`;
  if (control === "integer" || control === "number")
    return html`<input ...${given} class="short" inputmode=${control === "integer" ? "numeric" : "decimal"} autocomplete="off" value=${now} onInput=${typed} />`;
  if (control === "text")
    return html`<input ...${given} autocomplete="off" spellcheck=${false} value=${key.secret && !change ? "" : now} placeholder=${key.secret ? key.value || "" : ""} onInput=${typed} />`;
  const rows = Math.min(16, Math.max(control === "lines" ? 2 : 3, now.split("\n").length + 1));
  return html`<textarea ...${given} class="mono" rows=${rows} spellcheck=${false} autocomplete="off" value=${now} onInput=${typed}
    placeholder=${t(control === "lines" ? "settings.lines" : key.type === "list" ? "settings.json.list" : "settings.json.object")}></textarea>`;
}

/** Typed back to what stands there: no change. A secret's field is empty while it is as it was. */
function same(key, content) {
  if (key.secret && controlOf(key) === "text" && content === "") return true;
  return content === shown(key, key.value);
}
