// Logs: what the daemon says, as it says it; and, where the operator turned it on, what was asked and answered in full.
import { html, useState } from "../view.js";
import { t } from "../i18n.js";
import { Page, Tabs } from "../ui.js";
import { Tail } from "./logs_tail.js";
import { RequestLogs } from "./logs_requests.js";

const TABS = ["tail", "requests"];

export default function Logs({ query }) {
  const [current, setCurrent] = useState(TABS.includes(query.tab) ? query.tab : "tail");
  const tabs = html`<${Tabs} label=${t("nav.logs")} current=${current} onChange=${setCurrent} tabs=${TABS.map((id) => ({ id, label: t(`logs.tab.${id}`) }))} />`;
  return html`<${Page} title=${t("nav.logs")} sub=${t(`logs.sub.${current}`)} actions=${tabs}>
    ${current === "tail" ? html`<${Tail} query=${query} />` : html`<${RequestLogs} />`}
  <//>`;
}
