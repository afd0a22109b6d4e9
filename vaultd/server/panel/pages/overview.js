// Overview: what needs a person, first; then what is being used and by what, what runs now, and what this daemon is.
import { html, useMemo } from "../view.js";
import { duration, fullTime, moment, t } from "../i18n.js";
import { useGet } from "../api.js";
import { Card, CopyButton, ErrorNote, Facts, Page, Skeleton, useNow } from "../ui.js";
import { Needs } from "./overview_needs.js";
import { Requests } from "./overview_requests.js";
import { Used } from "./overview_usage.js";

export default function Overview() {
  const about = useGet("/about", { every: 60 });
  const status = useGet("/status", { every: 30, topics: "credentials" });
  const doctor = useGet("/doctor", { every: 60, topics: "credentials" });
  const keys = useGet("/client-keys", { every: 300 });
  // Usage knows a client by its key's id; a person knows it by its alias.
  const names = useMemo(() => Object.fromEntries((keys.data?.data ?? []).map((key) => [key.id, key.alias || key.id])), [keys.data]);
  return html`<${Page} title=${t("nav.overview")} sub=${html`<${Stand} status=${status} />`}>
    <${ErrorNote} error=${about.error ?? status.error} retry=${() => [about, status, doctor].forEach((one) => one.reload())} />
    <${Needs} doctor=${doctor} status=${status} />
    <${Used} about=${about.data} names=${names} />
    <${Requests} about=${about.data} names=${names} />
    <${Daemon} about=${about.data} />
  <//>`;
}

/** One line: how many credentials stand ready, of how many. */
function Stand({ status }) {
  if (!status.data) return html`<span class="muted">${t("loading")}…</span>`;
  const rows = status.data.credentials;
  const ready = rows.filter((row) => row.state === "available").length;
  return t("overview.stand", { n: rows.length, ready, keys: t("overview.keys", { n: status.data.client_keys }) });
}

function Daemon({ about }) {
  const now = useNow(30);
  const began = moment(about?.started_at);
  return html`<${Card} title=${t("overview.daemon")}>
    ${!about
      ? html`<${Skeleton} rows=${4} />`
      : html`<${Facts} rows=${[
          [t("overview.address"), html`<span class="row"><code>${about.client_address}</code><${CopyButton} text=${about.client_address} /></span>`],
          [t("overview.version"), [about.version, about.commit].filter(Boolean).join(" · ")],
          [t("overview.up"), began && html`<span title=${fullTime(began)}>${duration(Math.max(0, (now - began) / 1000))}</span>`],
          [t("overview.config"), about.config_file ? html`<code>${about.config_file}</code>` : t("overview.config.none")],
          [t("overview.folder"), html`<code>${about.folder}</code>`],
          [t("overview.remote"), t(about.management.allow_remote ? "overview.remote.yes" : "overview.remote.no")],
        ]} />`}
  <//>`;
}
