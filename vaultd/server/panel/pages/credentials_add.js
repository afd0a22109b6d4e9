// Credentials that come without a sign-in: an API key, which is sealed and stands in no YAML, and token files.
import { html, useEffect, useRef, useState } from "../view.js";
import { bytes, t } from "../i18n.js";
import { call, post } from "../api.js";
import { Button, Dialog, Field, Icon, Note, toast } from "../ui.js";

export function AddKey({ providers, onClose, onDone }) {
  const kinds = providers.filter((one) => one.keys);
  const [given, setGiven] = useState({ provider: "", key: "", label: "", base_url: "" });
  const [error, setError] = useState(null);
  const [missing, setMissing] = useState(false);
  const [busy, setBusy] = useState(false);
  const provider = given.provider || kinds[0]?.id || "";
  const set = (name) => (event) => {
    setGiven({ ...given, [name]: event.currentTarget.value });
    setError(null);
    setMissing(false);
  };
  const add = async (event) => {
    event.preventDefault();
    if (!given.key.trim()) return setMissing(true);
    setBusy(true);
    const body = { provider, key: given.key.trim() };
    for (const name of ["label", "base_url"]) if (given[name].trim()) body[name] = given[name].trim();
    try {
      const made = await post("/credentials", body);
      toast(t("credentials.added", { id: made.id }));
      await onDone();
      onClose();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  const footer = html`<${Button} onClick=${onClose}>${t("cancel")}<//><${Button} kind="primary" type="submit" form="add-key" busy=${busy}>${t("credentials.key.add")}<//>`;
  return html`<${Dialog} title=${t("credentials.key")} onClose=${onClose} footer=${footer}>
    <form id="add-key" class="stack" onSubmit=${add}>
      <${Field} as="select" label=${t("credentials.key.vendor")} value=${provider} onChange=${set("provider")} options=${kinds.map((one) => ({ value: one.id, label: one.name || one.id }))} />
      <${Field} type="password" label=${t("credentials.key.key")} hint=${t("credentials.key.hint")} error=${missing ? t("credentials.key.missing") : ""} value=${given.key}
        autocomplete="off" spellcheck=${false} onInput=${set("key")} />
      <${Field} label=${t("credentials.key.label")} hint=${t("credentials.key.label.hint")} value=${given.label} autocomplete="off" onInput=${set("label")} />
      <${Field} label=${t("credentials.key.base")} hint=${t(provider === "codex-api-key" ? "credentials.key.base.needed" : "credentials.key.base.hint")} value=${given.base_url}
        placeholder="https://…" inputmode="url" autocomplete="off" spellcheck=${false} onInput=${set("base_url")} />
      ${error && html`<${Note} tone="bad" title=${error.message}>${error.advice}<//>`}
    </form>
  <//>`;
}

/** Several files, each with its own fate. One request a file: one that is refused holds up no other. */
export function Import({ files, onClose, onDone }) {
  const [fates, setFates] = useState([]);
  const [over, setOver] = useState(false);
  const picker = useRef(null);
  const settle = (id, fate) => setFates((old) => old.map((one) => (one.id === id ? { ...one, ...fate } : one)));
  const take = async (list) => {
    const begun = list.map((file) => ({ id: `${file.name}${Math.random()}`, file, name: file.name, size: file.size, fate: "sending" }));
    setFates((old) => [...old, ...begun]);
    for (const one of begun) {
      const form = new FormData();
      form.append("file", one.file, one.name);
      try {
        const answer = await call("POST", "/auth-files", { body: form });
        settle(one.id, { fate: "taken", says: answer?.credentials?.[0]?.id ?? "" });
      } catch (error) {
        settle(one.id, { fate: "refused", says: [error.message, error.advice].filter(Boolean).join(" ") });
      }
    }
    onDone();
  };
  useEffect(() => {
    if (files.length) take(files);
  }, [files]);
  const drop = (event) => {
    event.preventDefault();
    event.stopPropagation();
    setOver(false);
    take([...event.dataTransfer.files]);
  };
  return html`<${Dialog} title=${t("credentials.import")} onClose=${onClose} footer=${html`<${Button} onClick=${onClose}>${t("close")}<//>`}>
    <p>${t("credentials.import.text")}</p>
    <div class=${`drop ${over ? "over" : ""}`} onDrop=${drop} onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)}>
      <${Icon} name="upload" size=${28} />
      <p>${t("credentials.import.drop")}</p>
      <${Button} onClick=${() => picker.current.click()}>${t("credentials.import.choose")}<//>
      <input ref=${picker} class="unseen" type="file" multiple accept=".json,application/json" tabindex="-1" aria-label=${t("credentials.import.choose")}
        onChange=${(event) => { take([...event.currentTarget.files]); event.currentTarget.value = ""; }} />
    </div>
    <ul class="plain-list fates" aria-live="polite">
      ${fates.map((one) => html`<li key=${one.id} class=${one.fate}>
        ${one.fate === "sending" ? html`<span class="spinner"></span>` : html`<${Icon} name=${one.fate === "taken" ? "check" : "alert"} />`}
        <div><p class="break"><b>${one.name}</b> <span class="muted">${bytes(one.size)}</span></p><p class="break">${t(`credentials.import.${one.fate}`)} ${one.says}</p></div>
      </li>`)}
    </ul>
  <//>`;
}
