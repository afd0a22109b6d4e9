// What was used: the figures of a span of time, and one plot of them, by day or hour, whole or split. The daemon sums; what
// arrives here is a few hundred numbers however many requests there were.
import { html, useMemo, useState } from "../view.js";
import { compact, duration, number, t } from "../i18n.js";
import { useGet } from "../api.js";
import { Button, Card, Empty, ErrorNote, Skeleton, Tabs } from "../ui.js";
import { Plot } from "../plot.js";

const HOUR = 3600;
const DAY = 86400;
/** `hours`: so many bars of an hour; else days. A week by the hour would be 168 bars on a phone. */
const SPANS = { day: { seconds: DAY, every: "hour" }, week: { seconds: 7 * DAY, every: "day" }, month: { seconds: 30 * DAY, every: "day" }, quarter: { seconds: 90 * DAY, every: "day" } };
const SPLITS = ["total", "model", "credential", "client", "provider"];
const CENTS = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
/** In the currency of the price list, where it names one: a code of ISO 4217, or whatever the operator calls it. */
const money = (currency) => (value) =>
  /^[a-z]{3}$/i.test(currency ?? "") ? number(value, { style: "currency", currency, ...CENTS }) : [number(value, CENTS), currency].filter(Boolean).join(" ");

/** What can be plotted: the rows of a series → rows of the plot. */
const MEASURES = {
  tokens: { format: compact, of: (row) => row.input.map((value, n) => value + row.output[n]) },
  requests: { format: compact, of: (row) => row.requests },
  failures: { format: compact, of: (row) => row.failures },
  cost: { of: (row) => row.cost ?? row.requests.map(() => 0) },
  seconds: { format: duration, lines: true, of: (row) => row.seconds.map((value, n) => (row.requests[n] ? value : null)) },
};

/** Where nothing is split there are still parts: of the tokens, and of the time. `input` holds `cached`, `output` `reasoning`. */
const PARTS = {
  tokens: (row) => [
    ["used.fresh", row.input.map((value, n) => Math.max(0, value - row.cached[n]))],
    ["used.cached", row.cached],
    ["used.answer", row.output.map((value, n) => Math.max(0, value - row.reasoning[n]))],
    ["used.reasoning", row.reasoning],
  ],
  requests: (row) => [
    ["used.served", row.requests.map((value, n) => value - row.failures[n])],
    ["used.failures", row.failures],
  ],
  seconds: (row) => [
    ["used.seconds", MEASURES.seconds.of(row)],
    ["used.first", row.first.map((value, n) => (row.requests[n] ? value : null))],
  ],
};

/** The span, on the hour, so that the same question is the same address for an hour. */
function span(name) {
  const end = Math.ceil(Date.now() / 1000 / HOUR) * HOUR;
  const { seconds, every } = SPANS[name];
  return { from: end - seconds, to: end, every };
}

export function Used({ about, names }) {
  const [spanName, setSpan] = useState("day");
  const [by, setBy] = useState("total");
  const [measure, setMeasure] = useState("tokens");
  const { from, to, every } = span(spanName);
  const off = Boolean(about && !about.usage_enabled);
  const series = useGet(off ? null : "/usage/series", { query: { from, to, every, by }, every: 60 });
  const sums = useGet(off ? null : "/usage/sums", { query: { from, to, by: "total" }, every: 30, topics: "usage" });
  if (off)
    return html`<${Card} title=${t("used.title")}>
      <${Empty} icon="overview" title=${t("used.off")} action=${html`<${Button} href="#/settings?filter=usage-statistics-enabled">${t("used.off.do")}<//>`}>${t("used.off.text")}<//>
    <//>`;
  const whole = sums.data?.rows[0] ?? null;
  const priced = whole ? whole.cost !== null : false;
  const measures = ["tokens", "requests", "failures", priced && "cost", "seconds"].filter(Boolean);
  const actions = html`<${Tabs} label=${t("used.span")} current=${spanName} onChange=${setSpan}
    tabs=${Object.keys(SPANS).map((id) => ({ id, label: t(`used.span.${id}`) }))} />`;
  return html`<${Card} title=${t("used.title")} actions=${actions} class="used">
    <${Figures} whole=${whole} currency=${sums.data?.currency} ready=${Boolean(sums.data || sums.error)} />
    <div class="used-choices">
      <${Tabs} label=${t("used.what")} current=${measure} onChange=${setMeasure} tabs=${measures.map((id) => ({ id, label: t(`used.${id}`) }))} />
      <label class="row"><span class="muted small">${t("used.by")}</span>
        <select class="short" value=${by} onChange=${(event) => setBy(event.currentTarget.value)}>
          ${SPLITS.map((id) => html`<option key=${id} value=${id} selected=${id === by}>${t(`used.by.${id}`)}</option>`)}
        </select></label>
    </div>
    <${Drawing} series=${series} measure=${measure} by=${by} names=${names} />
  <//>`;
}

function Drawing({ series, measure, by, names }) {
  const rows = useMemo(() => plotted(series.data, measure, names), [series.data, measure, names]);
  if (!series.data)
    return series.error ? html`<div class="plot-empty"><${ErrorNote} error=${series.error} retry=${series.reload} /></div>` : html`<${Skeleton} rows=${1} kind="plot" />`;
  if (!rows.length)
    return html`<div class="plot-empty"><${Empty} icon="overview" title=${t("used.nothing")} action=${html`<${Button} href="#/clients">${t("used.nothing.do")}<//>`}>${t("used.nothing.text")}<//></div>`;
  const label = t("used.label", { what: t(`used.${measure}`), by: t(`used.by.${by}`), every: t(`used.every.${series.data.every}`) });
  return html`<${Plot} at=${series.data.at} rows=${rows} every=${series.data.every} format=${MEASURES[measure].format ?? money(series.data.currency)}
    lines=${MEASURES[measure].lines} label=${label} />`;
}

/** A part keeps its colour when another has nothing to show. */
const TOKENS = {
  "used.failures": "--bad-fill",
  "used.fresh": "--plot-1",
  "used.cached": "--plot-2",
  "used.answer": "--plot-3",
  "used.reasoning": "--plot-4",
};
const some = (row) => row.values.some(Boolean);

function plotted(data, measure, names) {
  if (!data) return [];
  // Of the series itself, not of what was asked: the two differ while an answer is on its way.
  const rows = data.rows;
  if (data.by === "total" && rows.length && PARTS[measure])
    return PARTS[measure](rows[0]).map(([key, values]) => ({ name: key, label: t(key), values, token: TOKENS[key] })).filter(some);
  const label = (name) => {
    if (name === "total") return t(`used.${measure}`);
    return (data.by === "client" && names[name]) || t(`used.name.${name}`, { or: name });
  };
  const token = data.by === "total" ? TOKENS[`used.${measure}`] : undefined;
  return rows.map((row) => ({ name: row.name, label: label(row.name), values: MEASURES[measure].of(row), token })).filter(some);
}

function Figures({ whole, currency, ready }) {
  const none = "—";
  const share = (part, of) => (of ? number(part / of, { style: "percent", maximumFractionDigits: 1 }) : none);
  const told = [
    ["used.requests", whole && compact(whole.requests), whole && t("used.failed", { share: share(whole.failures, whole.requests) }), whole?.failures > 0],
    ["used.input", whole && compact(whole.input), whole && t("used.of_cached", { share: share(whole.cached, whole.input) })],
    ["used.output", whole && compact(whole.output), whole && t("used.of_reasoning", { share: share(whole.reasoning, whole.output) })],
    ["used.first", whole?.first ? duration(whole.first) : none, whole && t("used.whole", { time: whole.seconds ? duration(whole.seconds) : none })],
  ];
  if (whole && whole.cost !== null) told.push(["used.cost", money(currency)(whole.cost), t("used.cost.text")]);
  return html`<dl class="figures">${told.map(([key, value, more]) => html`<div key=${key}><dt>${t(key)}</dt>
    <dd>${ready ? html`<b class="number">${value ?? "0"}</b><span class="muted">${more || "\u00a0"}</span>` : html`<span class="skeleton figure"></span><span class="muted">\u00a0</span>`}</dd></div>`)}</dl>`;
}
