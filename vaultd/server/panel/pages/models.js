// Models: who serves what and whether anybody can right now; one of them tried, or taken along as code.
import { html, useMemo, useState } from "../view.js";
import { compact, t } from "../i18n.js";
import { useGet } from "../api.js";
import { Badge, Button, Card, Empty, Filter, Page, Switch, Table } from "../ui.js";
import { Model } from "./models_one.js";

/** The best state of those who serve it: one who can is enough. */
const BEST = ["available", "cooling", "sign-in required", "disabled", "no provider"];
const best = (model) => BEST.find((state) => model.credentials.some((one) => one.state === state)) ?? "no provider";
const ready = (model) => model.credentials.filter((one) => one.state === "available").length;

/** A range of no width is what the manifest says of a model that does not think. */
const thinks = (range) => Boolean(range && (range.max || range["dynamic-allowed"] || range.levels?.length));

export default function Models({ query }) {
  const models = useGet("/models", { every: 30, topics: "credentials" });
  const [filter, setFilter] = useState(query.filter ?? "");
  const [now, setNow] = useState(false);
  const rows = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    const told = (model) => [model.id, ...model.providers, ...model.credentials.map((one) => one.id)].join(" ").toLowerCase();
    return models.data?.data.filter((model) => (!now || ready(model) > 0) && words.every((word) => told(model).includes(word)));
  }, [models.data, filter, now]);
  const all = models.data?.data ?? [];
  const opened = all.find((model) => model.id === query.model);
  const open = (model, tab) => (location.hash = `#/models?${new URLSearchParams({ model: model.id, ...(tab && { tab }) })}`);
  return html`<${Page} title=${t("nav.models")} sub=${models.data ? t("models.sub", { n: all.length, ready: all.filter(ready).length }) : html`${t("loading")}…`}>
    <div class="tools-line">
      <${Filter} value=${filter} onInput=${setFilter} label=${t("models.filter")} />
      <${Switch} label=${t("models.now")} checked=${now} onChange=${setNow} />
    </div>
    <${Card} flush>
      <${Table} flow caption=${t("nav.models")} columns=${columns(open)} rows=${rows} state=${models} onRow=${(model) => open(model)}
        empty=${all.length
          ? html`<${Empty} icon="search" title=${t("models.unfound")} action=${html`<${Button} onClick=${() => { setFilter(""); setNow(false); }}>${t("models.all")}<//>`} />`
          : html`<${Empty} icon="models" title=${t("models.none")} action=${html`<${Button} kind="primary" href="#/credentials?sign-in=">${t("models.sign_in")}<//>`}>${t("models.none.text")}<//>`} />
    <//>
    ${opened && html`<${Model} key=${opened.id} model=${opened} tab=${query.tab} onClose=${() => (location.hash = "#/models")} />`}
  <//>`;
}

const columns = (open) => [
  { key: "id", label: t("models.id"), title: true, render: (model) => html`<span class="break">${model.id}</span>` },
  { key: "providers", label: t("models.providers"), render: (model) => model.providers.join(", ") },
  { key: "state", label: t("models.who"), render: (model) => html`<${Serving} model=${model} />` },
  { key: "context", roomy: true, label: t("models.context"), align: "end", narrow: true, render: (model) => (model.context ? compact(model.context) : "—") },
  { key: "max_output", roomy: true, label: t("models.output"), align: "end", narrow: true, render: (model) => (model.max_output ? compact(model.max_output) : "—") },
  { key: "thinking", roomy: true, label: t("models.thinking"), narrow: true, render: (model) => t(thinks(model.thinking) ? "models.yes" : "models.no") },
  {
    key: "do",
    label: t("models.do"),
    hideLabel: true,
    narrow: true,
    render: (model) => html`<span class="row"><${Button} small icon="play" aria-label=${t("models.try.one", { model: model.id })} onClick=${() => open(model, "try")}>${t("models.try")}<//>
      <${Button} small kind="quiet" aria-label=${t("models.code.one", { model: model.id })} onClick=${() => open(model, "code")}>${t("models.code")}<//></span>`,
  },
];

const TONES = { available: "ok", cooling: "warn", "sign-in required": "bad", disabled: "idle", "no provider": "bad" };

function Serving({ model }) {
  const can = ready(model);
  const state = best(model);
  const who = model.credentials.map((one) => `${one.id}: ${t(`state.${one.state}`, { or: one.state })}`).join("\n");
  return html`<${Badge} tone=${TONES[state]} title=${who}>
    ${can ? t("models.ready", { n: model.credentials.length, ready: can }) : t(`state.${state}`, { or: state })}<//>`;
}
