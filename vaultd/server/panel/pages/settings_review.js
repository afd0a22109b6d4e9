// Before a change is written: the lines that change, what the daemon warns of, and the one case in which it refuses a change
// that was right, because somebody else changed the file meanwhile.
import { html, useState } from "../view.js";
import { t } from "../i18n.js";
import { Button, Dialog, Note } from "../ui.js";

/** A unified diff. The signs stay, so that colour alone says nothing. */
export function Diff({ text }) {
  const lines = (text ?? "").split("\n").filter((line) => !/^(---|\+\+\+) /.test(line));
  while (lines.length && lines[lines.length - 1] === "") lines.pop();
  if (!lines.length) return html`<p class="muted">${t("settings.diff.none")}</p>`;
  const kind = (line) => ({ "+": "added", "-": "gone", "@": "place" })[line[0]] ?? "";
  return html`<pre class="diff" tabindex="0" role="region" aria-label=${t("settings.diff")}>
    ${lines.map((line, n) => html`<span key=${n} class=${kind(line)}>${line || " "}</span>`)}
  </pre>`;
}

/** `save(etag)` writes, or throws what refused it. `reload` fetches the file as it is now; the changes are kept. */
export function Review({ answer, etag, save, onClose, reload }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const stale = error?.status === 412;
  const go = async () => {
    setBusy(true);
    setError(null);
    try {
      await save(etag);
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  const again = async () => {
    await reload();
    onClose();
  };
  const footer = html`<${Button} onClick=${onClose}>${t("settings.back")}<//>
    ${stale ? html`<${Button} kind="primary" icon="refresh" onClick=${again}>${t("settings.stale.go")}<//>` : html`<${Button} kind="primary" busy=${busy} disabled=${!answer.ok} onClick=${go}>${t("settings.write")}<//>`}`;
  return html`<${Dialog} wide title=${t("settings.review.title")} onClose=${onClose} footer=${footer}>
    ${answer.ok && html`<p class="hint">${t("settings.review.text")}</p>`}
    <${Diff} text=${answer.diff} />
    ${(answer.errors ?? []).map((one, n) => html`<${Note} key=${n} tone="bad" title=${[one.path, one.message].filter(Boolean).join(": ")} />`)}
    ${(answer.warnings ?? []).map((one, n) => html`<${Note} key=${n} tone="warn" title=${typeof one === "string" ? one : one.message} />`)}
    ${stale
      ? html`<div role="alert"><${Note} tone="warn" title=${t("settings.stale")}>${t("settings.stale.text")}<//></div>`
      : error && html`<div role="alert"><${Note} tone="bad" title=${[error.body?.path, error.message].filter(Boolean).join(": ")}>${error.advice}<//></div>`}
  <//>`;
}
