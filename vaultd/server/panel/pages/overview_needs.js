// What needs a person: what `vaultd doctor` finds, the worst first, each with its one next action: a place in this panel where
// there is one, else the command to take along.
import { html } from "../view.js";
import { known, spoken, t } from "../i18n.js";
import { Badge, Button, Card, CopyButton, Empty, ErrorNote, Icon, Skeleton } from "../ui.js";

/** What the panel itself can do about a finding: where to go and what the button says. */
function cure(finding, credentials) {
  const named = credentials.find((row) => row.id === finding.subject);
  if (finding.code === "sign-in-required" || finding.code.startsWith("sign-in"))
    return { href: `#/credentials?${new URLSearchParams({ "sign-in": named?.provider ?? "" })}`, word: t("needs.sign_in") };
  if (named) return { href: `#/credentials?${new URLSearchParams({ filter: named.id })}`, word: t("needs.look") };
  if (/^(no-)?client-key/.test(finding.code)) return { href: "#/clients", word: t("needs.clients") };
  const key = Object.keys(KEYS).find((start) => finding.code.startsWith(start));
  return key ? { href: `#/settings?${new URLSearchParams({ filter: KEYS[key] })}`, word: t("needs.settings") } : null;
}

/** How the codes begin that a key of the configuration mends, and which one. */
const KEYS = {
  "config-": "",
  "log-unwritable": "logging-to-file",
  "prices-": "usage.prices-file",
  "webhook-": "alerts",
  "certificate-": "tls",
  "exposed-without-tls": "tls",
  "proxy-": "proxy-url",
};

export function Needs({ doctor, status }) {
  if (!doctor.data)
    return doctor.error
      ? html`<${ErrorNote} error=${doctor.error} retry=${doctor.reload} />`
      : html`<${Card} title=${t("needs.title")}><${Skeleton} rows=${2} kind="row" /><//>`;
  const credentials = status.data?.credentials ?? [];
  const found = doctor.data.checks.filter((check) => check.state !== "ok");
  const failing = found.filter((check) => check.state === "fail");
  const rest = found.filter((check) => check.state !== "fail");
  const list = (rows) => rows.map((row) => html`<${Finding} key=${row.code + row.subject} finding=${row} credentials=${credentials} />`);
  if (status.data && !credentials.length)
    return html`<${Card} title=${t("needs.title")}>
      <${Empty} icon="credentials" title=${t("needs.first.title")} action=${html`<${Button} kind="primary" icon="add" href="#/credentials?sign-in=">${t("needs.first.do")}<//>`}>
        ${t("needs.first.text")}<//>
      ${failing.length > 0 && html`<ul class="findings">${list(failing)}</ul>`}
    <//>`;
  if (!failing.length)
    return html`<${Card} class="well">
      <div class="well-line"><${Icon} name="check" size=${20} /><div><h2>${t("needs.none")}</h2><p class="muted">${t("needs.none.text", { n: new Set(doctor.data.checks.map((check) => check.check)).size })}</p></div></div>
      <${Rest} rows=${rest} list=${list} />
    <//>`;
  return html`<${Card} title=${t("needs.title")} class="needs" actions=${html`<${Badge} tone="bad">${t("needs.count", { n: failing.length })}<//>`}>
    <ul class="findings">${list(failing)}</ul>
    <${Rest} rows=${rest} list=${list} />
  <//>`;
}

function Rest({ rows, list }) {
  if (!rows.length) return null;
  return html`<details class="rest"><summary>${t("needs.rest", { n: rows.length })}</summary><ul class="findings">${list(rows)}</ul></details>`;
}

function Finding({ finding, credentials }) {
  const next = cure(finding, credentials);
  // The daemon speaks English; what its codes mean is known in other languages.
  const means = known(`finding.${finding.code}`) ? t(`finding.${finding.code}`) : "";
  const tone = finding.state === "fail" ? "bad" : "warn";
  // A command is taken along; a sentence is not.
  const command = /^(vaultd|chmod|chown|systemctl) /.test(finding.action) && !finding.action.includes(", ") ? finding.action : "";
  const subject = finding.subject && !finding.says.includes(finding.subject.split("/").pop()) ? finding.subject : "";
  return html`<li class=${`finding ${tone}`}>
    <${Icon} name=${tone === "bad" ? "alert" : "info"} />
    <div class="finding-words">
      ${means && html`<p>${means}</p>`}
      <p class=${means ? "finding-says small" : "finding-says"} lang="en">${subject && html`<b>${subject}</b> · `}${spoken(finding.says)}</p>
      ${command
        ? html`<p class="finding-action"><code>${command}</code><${CopyButton} bare text=${command} /></p>`
        : html`<p class="muted small" lang="en">${finding.action}</p>`}
    </div>
    ${next && html`<${Button} kind=${tone === "bad" ? "primary" : "plain"} small href=${next.href}>${next.word}<//>`}
  </li>`;
}
