// The requests: those under way as the event stream tells them, and those that are over, a page at a time.
import { html, useCallback, useEffect, useRef, useState } from "../view.js";
import { clock, compact, duration, fullTime, moment, t } from "../i18n.js";
import { get, useEvents } from "../api.js";
import { Badge, Button, Card, Empty, Switch, Table, useNow } from "../ui.js";

const PAGE = 12;

export function Requests({ about, names }) {
  const [running, setRunning] = useState(null);
  const [rows, setRows] = useState(null);
  const [error, setError] = useState(null);
  const [failed, setFailed] = useState(false);
  const [more, setMore] = useState(true);
  const [busy, setBusy] = useState(false);
  const off = Boolean(about && !about.usage_enabled);
  const turn = useRef(0);
  const shown = useRef(0);

  const ask = useCallback(
    async (before) => {
      const mine = ++turn.current;
      try {
        const { data } = await get("/usage/requests", { limit: PAGE, before, failed: failed ? 1 : "" });
        // A slow answer is shown though the next is on its way; another page of what was replaced meanwhile is not.
        if (mine <= shown.current || (before && mine !== turn.current)) return;
        shown.current = mine;
        setRows((old) => (before ? [...(old ?? []), ...data] : data));
        setMore(data.length === PAGE);
        setError(null);
      } catch (problem) {
        if (mine > shown.current) setError(problem);
      }
    },
    [failed],
  );
  useEffect(() => {
    if (!off) ask();
    return () => {
      shown.current = turn.current;
    };
  }, [ask, off]);

  // The book is at most a second behind, so what ended is asked for a second and a half after.
  const later = useRef(0);
  const greeted = useRef(false);
  const pages = rows ? Math.ceil(rows.length / PAGE) : 1;
  useEvents("requests", (event) => {
    setRunning(event.running);
    // The first event tells what ended before this page was here: the list has it.
    const news = greeted.current && event.ended?.length > 0;
    greeted.current = true;
    // Whoever has gone back several pages reads; nothing moves under them.
    if (news && !off && pages <= 1) later.current ||= setTimeout(() => { later.current = 0; ask(); }, 1500);
  });
  useEffect(() => () => clearTimeout(later.current), []);

  const next = async () => {
    setBusy(true);
    await ask(rows[rows.length - 1].id);
    setBusy(false);
  };
  return html`<${Card} title=${t("requests.live")} flush actions=${html`<${Badge} tone=${running?.length ? "accent" : "idle"}>${t("requests.running", { n: running?.length ?? 0 })}<//>`} class="live">
      <${Live} rows=${running} names=${names} />
    <//>
    ${!off && html`<${Card} title=${t("requests.recent")} flush actions=${html`<${Switch} label=${t("requests.failed")} checked=${failed} onChange=${(on) => { setRows(null); setFailed(on); }} />`}>
      <${Table} flow caption=${t("requests.recent")} columns=${ended(names)} rows=${rows} state=${{ error, reload: () => ask() }}
        empty=${html`<${Empty} icon="logs" title=${t(failed ? "requests.none_failed" : "requests.none")}>${t(failed ? "requests.none_failed.text" : "requests.none.text")}<//>`} />
      ${rows?.length > 0 && more && html`<div class="more"><${Button} busy=${busy} onClick=${next}>${t("requests.more")}<//></div>`}
    <//>`}`;
}

const model = (row) => html`<span class="break">${row.model || row.asked || "—"}</span>${row.asked && row.model && row.asked !== row.model && html`<span class="muted under">${t("requests.asked", { name: row.asked })}</span>`}`;

const common = (names) => [
  { key: "model", label: t("requests.model"), title: true, render: model },
  { key: "credential", label: t("requests.credential"), render: (row) => row.credential ? html`<a class="plain-link break" href=${`#/credentials?${new URLSearchParams({ filter: row.credential })}`}>${row.credential}</a>` : "—" },
  { key: "client", roomy: true, label: t("requests.client"), render: (row) => names[row.client] ?? (row.client || "—") },
];

function Live({ rows, names }) {
  if (rows && !rows.length) return html`<p class="quiet-line muted">${t("requests.idle")}</p>`;
  const columns = [
    ...common(names),
    { key: "endpoint", label: t("requests.endpoint"), render: (row) => html`<code>${row.endpoint}</code>` },
    { key: "seconds", label: t("requests.since"), align: "end", narrow: true, render: (row) => html`<${Ticking} at=${row.at} />` },
  ];
  return html`<${Table} flow caption=${t("requests.live")} columns=${columns} rows=${rows} rowKey=${(row) => row.n} />`;
}

function Ticking({ at }) {
  const now = useNow(1);
  return html`<span class="number">${duration(Math.max(0, Math.round(now / 1000 - moment(at).getTime() / 1000)))}</span>`;
}

function Outcome({ row }) {
  if (row.status >= 200 && row.status < 300) return html`<span class="muted number">${row.status}</span>`;
  // 499: the client hung up. Nobody's fault, and nothing to see to.
  const words = [row.status || t("requests.no_answer"), row.refused].filter(Boolean).join(" · ");
  return html`<${Badge} tone=${row.status === 499 ? "idle" : row.status === 429 ? "warn" : "bad"}>${words}<//>`;
}

const ended = (names) => [
  ...common(names),
  { key: "status", label: t("requests.status"), narrow: true, render: (row) => html`<${Outcome} row=${row} />` },
  { key: "tokens", label: t("requests.tokens"), align: "end", narrow: true, render: (row) => html`<span title=${t("requests.tokens.text", { input: row.input, output: row.output, cached: row.cached, reasoning: row.reasoning })}>${compact(row.input)} → ${compact(row.output)}</span>` },
  { key: "seconds", label: t("requests.took"), align: "end", narrow: true, render: (row) => html`<span title=${row.first ? t("requests.first", { time: duration(row.first) }) : undefined}>${duration(row.seconds ?? 0)}</span>` },
  { key: "at", label: t("requests.at"), align: "end", narrow: true, render: (row) => html`<time datetime=${moment(row.at).toISOString()} title=${fullTime(row.at)}>${clock(row.at)}</time>` },
];
