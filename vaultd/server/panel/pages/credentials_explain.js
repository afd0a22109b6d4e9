// Who would serve a model now, and why the others would not: asked of the same pool that requests are.
import { html, useEffect, useState } from "../view.js";
import { spoken, t } from "../i18n.js";
import { useGet } from "../api.js";
import { Button, Card, ErrorNote, Field, Note, State, Table, Time } from "../ui.js";

export function Explain({ asked }) {
  const [text, setText] = useState(asked);
  const [model, setModel] = useState(asked);
  const models = useGet("/models").data?.data ?? [];
  const answer = useGet(model ? "/explain" : null, { query: { model }, topics: "credentials" });
  useEffect(() => {
    setText(asked);
    setModel(asked);
  }, [asked]);
  const ask = (event) => {
    event.preventDefault();
    if (text.trim() === model) answer.reload();
    setModel(text.trim());
  };
  const said = answer.data?.model === model || !answer.loading ? answer.data : null;
  return html`<${Card} title=${t("explain.title")} hint=${t("explain.hint")}>
    <form class="explain-form" onSubmit=${ask}>
      <${Field} label=${t("explain.model")} value=${text} list="explain-models" autocomplete="off" spellcheck=${false} onInput=${(event) => setText(event.currentTarget.value)} />
      <datalist id="explain-models">${models.map((one) => html`<option key=${one.id} value=${one.id} />`)}</datalist>
      <${Button} type="submit" icon="help">${t("explain.ask")}<//>
    </form>
    ${model && html`<div class="explained" aria-live="polite">
      <${ErrorNote} error=${answer.error} />
      ${said && !answer.error && html`<${Note} tone=${said.candidates.some((one) => one.state === "available") ? "info" : "warn"} title=${said.answer} />
        <${Candidates} rows=${said.candidates} />`}
    </div>`}
  <//>`;
}

function Candidates({ rows }) {
  const columns = [
    { key: "credential", label: t("credentials.account"), title: true, render: (row) => html`<span class="break">${row.credential}</span>` },
    { key: "tier", label: t("explain.tier"), align: "end", narrow: true, render: (row) => row.tier },
    { key: "model", label: t("explain.as"), render: (row) => html`<code>${row.model}</code>` },
    { key: "state", label: t("credentials.state"), render: (row) => html`<${State} state=${row.state} />` },
    { key: "reason", label: t("explain.why"), render: (row) => html`<span>${spoken(row.reason)}${row.until && html` · <${Time} at=${row.until} />`}
      ${row.action && html`<br /><span class="muted">${t("credentials.next")} ${row.action}</span>`}</span>` },
  ];
  return html`<${Table} columns=${columns} rows=${rows} rowKey=${(row) => `${row.credential}${row.model}`} caption=${t("explain.title")} />`;
}
