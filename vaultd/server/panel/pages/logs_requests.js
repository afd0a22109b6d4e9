// The request log: one sealed file a request, in full but for its secrets, and only where the operator turned it on.
import { html, useEffect, useMemo, useState } from "../view.js";
import { bytes, fullTime, moment, t } from "../i18n.js";
import { download, remove, request, useGet } from "../api.js";
import { Badge, Button, Card, CopyButton, Dialog, Empty, ErrorNote, Filter, Note, Skeleton, Table, Time, confirm, toast } from "../ui.js";

export function RequestLogs() {
  const logs = useGet("/request-logs", { every: 15, topics: "requests" });
  const [filter, setFilter] = useState("");
  const [opened, setOpened] = useState(null);
  const rows = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return logs.data?.data.filter((row) => words.every((word) => [row.name, row.endpoint, row.model, row.credential, row.status].join(" ").toLowerCase().includes(word)));
  }, [logs.data, filter]);
  const on = logs.data?.on;
  const wipe = async () => {
    const n = logs.data.data.length;
    if (!(await confirm({ title: t("logs.requests.wipe"), text: t("logs.requests.wipe.text", { n }), action: t("logs.requests.wipe.do") }))) return;
    await act(() => remove("/request-logs"), t("logs.requests.wiped"), logs.reload);
  };
  const settings = html`<${Button} href="#/settings?filter=request-log">${t("logs.requests.settings")}<//>`;
  if (logs.data && !logs.data.data.length)
    return html`<${Card}><${Empty} icon="logs" title=${t(on ? "logs.requests.none" : "logs.requests.off")} action=${!on && settings}>
      ${t(on ? "logs.requests.none.text" : "logs.requests.off.text")}<//><//>`;
  return html`${on && html`<${Note} tone="warn" action=${settings}><p>${t("logs.requests.on")}</p><//>`}
    <div class="tools-line">
      <${Filter} value=${filter} onInput=${setFilter} label=${t("logs.requests.filter")} />
      <span class="actions apart"><${Button} kind="danger" icon="remove" onClick=${wipe} disabled=${!rows?.length}>${t("logs.requests.wipe")}<//></span>
    </div>
    <${Card} flush>
      <${Table} flow caption=${t("logs.tab.requests")} columns=${columns()} rows=${rows} rowKey=${(row) => row.name} state=${logs} onRow=${(row) => setOpened(row)}
        empty=${html`<${Empty} icon="search" title=${t("logs.requests.unfound")} action=${html`<${Button} onClick=${() => setFilter("")}>${t("logs.requests.all")}<//>`} />`} />
    <//>
    ${opened && html`<${OneRequest} row=${opened} onClose=${() => setOpened(null)} gone=${() => { setOpened(null); logs.reload(); }} />`}`;
}

async function act(doing, done, after) {
  try {
    await doing();
    toast(done);
    after();
  } catch (error) {
    toast(`${error.message}. ${error.advice}`, { tone: "bad" });
  }
}

const columns = () => [
  { key: "endpoint", label: t("logs.requests.endpoint"), title: true, render: (row) => html`<code>${row.endpoint}</code>` },
  { key: "model", label: t("logs.requests.model"), render: (row) => html`<span class="break">${row.model || "—"}</span>` },
  { key: "credential", label: t("logs.requests.credential"), render: (row) => html`<span class="break">${row.credential || "—"}</span>` },
  { key: "status", label: t("logs.requests.status"), narrow: true, render: (row) => (row.status >= 400 || !row.status ? html`<${Badge} tone=${row.status === 429 ? "warn" : "bad"}>${row.status || "—"}<//>` : html`<span class="muted number">${row.status}</span>`) },
  { key: "bytes", label: t("logs.requests.size"), align: "end", narrow: true, render: (row) => bytes(row.bytes) },
  { key: "at", label: t("logs.requests.at"), align: "end", narrow: true, render: (row) => html`<${Time} at=${row.at} />` },
];

function OneRequest({ row, onClose, gone }) {
  const [text, setText] = useState(null);
  const [error, setError] = useState(null);
  const path = `/request-logs/${encodeURIComponent(row.name)}`;
  const load = () => {
    setError(null);
    request("GET", path).then((response) => response.text()).then(setText, setError);
  };
  useEffect(load, [path]);
  const away = async () => {
    if (await confirm({ title: t("logs.requests.remove"), text: row.name, action: t("logs.requests.remove.do") }))
      await act(() => remove(path), t("logs.requests.removed"), gone);
  };
  const save = () =>
    download(path, row.name.endsWith(".log") ? row.name : `${row.name}.log`).catch((problem) => toast(`${problem.message}. ${problem.advice}`, { tone: "bad" }));
  const footer = html`<${Button} kind="danger" icon="remove" onClick=${away}>${t("logs.requests.remove.do")}<//>
    <${Button} icon="download" onClick=${save}>${t("logs.requests.save")}<//>`;
  return html`<${Dialog} wide title=${`${row.endpoint} · ${fullTime(moment(row.at))}`} onClose=${onClose} footer=${footer}>
    ${error ? html`<${ErrorNote} error=${error} retry=${load} />` : text === null ? html`<${Skeleton} rows=${10} />` : html`<figure class="code-block">
      <figcaption><span class="break">${row.name}</span><${CopyButton} text=${text} /></figcaption>
      <pre tabindex="0" role="region" aria-label=${row.name} class="wrapped"><code>${text}</code></pre></figure>`}
  <//>`;
}
