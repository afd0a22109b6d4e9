// The file as text, for what is easier to write than to click. Secrets are masked, and a mask that is left as it is stands
// for the secret it masks.
import { html, useEffect, useState } from "../view.js";
import { t } from "../i18n.js";
import { post, request } from "../api.js";
import { Button, Card, ErrorNote, Icon, Skeleton, toast } from "../ui.js";
import { Review } from "./settings_review.js";
import { bare } from "./settings_values.js";

export function Raw({ source, writable, onSaved }) {
  const [file, setFile] = useState(null);
  const [text, setText] = useState("");
  const [error, setError] = useState(null);
  const [wrong, setWrong] = useState([]);
  const [review, setReview] = useState(null);
  const [busy, setBusy] = useState(false);
  /** `keep`: what was typed stays, against the file as it is now. */
  const load = async (keep = false) => {
    try {
      const response = await request("GET", "/config.yaml");
      const now = { text: await response.text(), etag: response.headers.get("ETag") };
      setFile(now);
      if (!keep) setText(now.text);
      setError(null);
    } catch (refused) {
      setError(refused);
    }
  };
  useEffect(() => {
    load();
  }, []);
  const dirty = file && text !== file.text;
  const look = async () => {
    setBusy(true);
    try {
      const answer = await post("/config/check", { yaml: text });
      setWrong(answer.ok ? [] : answer.errors);
      if (answer.ok) setReview(answer);
    } catch (refused) {
      toast([refused.message, refused.advice].filter(Boolean).join(" "), { tone: "bad" });
    }
    setBusy(false);
  };
  const save = async (etag) => {
    await request("PUT", "/config.yaml", { body: text, headers: { "Content-Type": "application/yaml", ...(etag ? { "If-Match": etag } : {}) } });
    setReview(null);
    toast(t("settings.saved"));
    await load();
    onSaved();
  };
  if (!file) return error ? html`<${ErrorNote} error=${error} retry=${() => load()} />` : html`<${Skeleton} rows=${8} kind="row" />`;
  return html`<${Card} title=${t("settings.raw")} hint=${t("settings.raw.hint")}>
    <div class="stack">
      <${ErrorNote} error=${error} retry=${() => load(true)} />
      <textarea class="mono raw" aria-label=${t("settings.raw")} spellcheck=${false} autocomplete="off" wrap="off" readonly=${!writable} value=${text}
        rows=${Math.min(32, Math.max(12, text.split("\n").length + 1))} aria-invalid=${wrong.length ? "true" : undefined} aria-describedby="raw-errors"
        onInput=${(event) => { setText(event.currentTarget.value); setWrong([]); }}></textarea>
      <div id="raw-errors" role="alert">${wrong.map((one, n) => html`<p key=${n} class="field-error"><${Icon} name="alert" size=${14} /> ${one.path && html`<code>${one.path}</code>`} ${bare(one.message, source, one.path)}</p>`)}</div>
      <div class="actions"><${Button} kind="primary" busy=${busy} disabled=${!dirty || !writable} onClick=${look}>${t("settings.review")}<//>
        <${Button} kind="quiet" disabled=${!dirty} onClick=${() => { setText(file.text); setWrong([]); }}>${t("settings.discard")}<//></div>
    </div>
    ${review && html`<${Review} answer=${review} etag=${file.etag} save=${save} onClose=${() => setReview(null)} reload=${() => load(true)} />`}
  <//>`;
}
