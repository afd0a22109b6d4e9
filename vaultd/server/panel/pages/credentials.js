// Credentials: how each stands, why, until when, and what to do; the ways in: a sign-in, an API key, a file.
import { html, useEffect, useMemo, useState } from "../view.js";
import { t } from "../i18n.js";
import { post, remove, useGet } from "../api.js";
import { Button, Card, Empty, ErrorNote, Filter, Icon, Page, Table, toast } from "../ui.js";
import { columns } from "./credentials_columns.js";
import { Details } from "./credentials_details.js";
import { AddKey, Import } from "./credentials_add.js";
import { Explain } from "./credentials_explain.js";
import { SignIn, nameOf } from "./sign_in.js";
import { Countdown } from "./sign_in_steps.js";

export default function Credentials({ query }) {
  const state = useGet("/credentials", { every: 10, topics: "credentials" });
  const signs = useGet("/sign-ins", { every: 10, topics: "sign-ins" });
  const providers = useGet("/providers").data?.data;
  const near = useGet("/about").data?.near ?? false;
  const [filter, setFilter] = useState(query.filter ?? "");
  // What stands above the page: {kind: "sign-in" | "key" | "import" | "details", …}, one at a time.
  const [above, setAbove] = useState(query["sign-in"] !== undefined ? { kind: "sign-in", provider: query["sign-in"] } : null);
  const away = () => {
    setAbove(null);
    signs.reload();
  };
  useEffect(() => setFilter(query.filter ?? ""), [query.filter]); // a link from this very page, back and forward
  useEffect(() => dropped((files) => setAbove({ kind: "import", files })), []);
  const all = state.data?.data;
  const rows = useMemo(() => all && ordered(all).filter((row) => matches(row, filter)), [all, filter]);
  const waiting = (signs.data?.data ?? []).filter((sign) => sign.status === "wait" || sign.status === "asking");
  const act = actions(state, (row) => setAbove({ kind: "sign-in", provider: row.provider, label: row.label }));
  const opened = above?.kind === "details" && all?.find((row) => row.id === above.id);
  return html`<${Page} title=${t("nav.credentials")} sub=${all && summary(all)} actions=${html`
      <${Button} icon="upload" onClick=${() => setAbove({ kind: "import", files: [] })}>${t("credentials.import")}<//>
      <${Button} icon="add" onClick=${() => setAbove({ kind: "key" })}>${t("credentials.key")}<//>
      <${Button} kind="primary" icon="credentials" onClick=${() => setAbove({ kind: "sign-in" })}>${t("sign-in.title")}<//>`}>
    ${all && state.error && html`<${ErrorNote} error=${state.error} retry=${state.reload} />`}
    ${waiting.length > 0 && html`<${Card} title=${t("credentials.pending.title")}><ul class="plain-list pending">
      ${waiting.map((sign) => html`<${Pending} key=${sign.state} sign=${sign} name=${nameOf(providers, sign.provider)} reload=${signs.reload}
        onOpen=${() => setAbove({ kind: "sign-in", state: sign.state })} />`)}
    </ul><//>`}
    <${RefusedFiles} rows=${state.data?.refused ?? []} onImport=${() => setAbove({ kind: "import", files: [] })} />
    <${Card} flush class="credentials">
      ${all?.length > 5 && html`<div class="table-tools"><${Filter} value=${filter} onInput=${setFilter} /></div>`}
      <${Table} columns=${columns(providers, act)} rows=${rows} state=${state} caption=${t("nav.credentials")}
        onRow=${(row) => setAbove({ kind: "details", id: row.id })}
        empty=${filter ? html`<${Empty} icon="search" title=${t("credentials.none.match")} />` : html`<${Nothing} onSignIn=${() => setAbove({ kind: "sign-in" })} />`} />
    <//>
    <${Explain} asked=${query.explain ?? ""} />
    ${above?.kind === "sign-in" && html`<${SignIn} key=${above.provider} provider=${above.provider} label=${above.label} state=${above.state} near=${near} onClose=${away} onDone=${state.reload} />`}
    ${above?.kind === "key" && html`<${AddKey} providers=${providers ?? []} onClose=${away} onDone=${state.reload} />`}
    ${above?.kind === "import" && html`<${Import} files=${above.files} onClose=${away} onDone=${state.reload} />`}
    ${opened && html`<${Details} row=${opened} providers=${providers} act=${act} onClose=${away} onChanged=${state.reload} />`}
  <//>`;
}

/** What needs a person comes first, then by vendor and account. */
const RANK = { "sign-in required": 0, "no provider": 1, cooling: 2, available: 3, disabled: 4 };
const ordered = (rows) =>
  [...rows].sort((a, b) => (RANK[a.state] ?? 1) - (RANK[b.state] ?? 1) || ALPHABET.compare(a.id, b.id));
/** A tenth of what `localeCompare` costs, which makes one for each comparison. */
const ALPHABET = new Intl.Collator();

function matches(row, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [row.id, row.provider, row.account, row.label, row.plan, row.state, t(`state.${row.state}`, { or: "" })].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function summary(rows) {
  const usable = rows.filter((row) => row.state === "available").length;
  return t("credentials.summary", { n: rows.length, usable });
}

/** A second press while one is under way would spend a second refresh token. */
const renewing = new Set();

/** What can be done to a credential from its row. Each says how it went. */
function actions(state, signIn) {
  const tell = async (run, done) => {
    try {
      const answer = await run();
      toast(done(answer));
    } catch (error) {
      toast([error.message, error.status === 409 ? "" : error.advice].filter(Boolean).join(" "), { tone: "bad" });
    }
    await state.reload();
  };
  return {
    signIn,
    tell,
    renew: async (row) => {
      if (renewing.has(row.id)) return;
      renewing.add(row.id);
      await tell(() => post(`/credentials/${encodeURIComponent(row.id)}/refresh`), () => t("credentials.renewed", { id: row.id }));
      renewing.delete(row.id);
    },
    lift: (row, model) => tell(() => remove("/cooldowns", { credential: row.id, model }), () => t("credentials.lifted", { id: row.id })),
  };
}

/** A sign-in that waits for its person: after a reload of the page, or begun elsewhere. */
function Pending({ sign, name, onOpen, reload }) {
  const cancel = async () => {
    try {
      await remove(`/sign-ins/${encodeURIComponent(sign.state)}`);
    } catch (error) {
      if (error.status !== 404) toast(error.message, { tone: "bad" });
    }
    reload();
  };
  return html`<li>
    <p>${t(sign.status === "asking" ? "credentials.pending.asking" : "credentials.pending", { name })}</p>
    <${Countdown} until=${sign.expires_at} />
    <div class="actions"><${Button} small kind="quiet" onClick=${cancel}>${t("sign-in.cancel")}<//><${Button} small onClick=${onOpen}>${t("credentials.pending.go")}<//></div>
  </li>`;
}

function RefusedFiles({ rows, onImport }) {
  if (!rows.length) return null;
  return html`<${Card} class="refused" title=${t("credentials.refused", { n: rows.length })} hint=${t("credentials.refused.hint")}
    actions=${html`<${Button} small icon="upload" onClick=${onImport}>${t("credentials.import")}<//>`}>
    <ul class="plain-list refused-list">
      ${rows.map((row) => html`<li key=${row.file}><${Icon} name="alert" />
        <div><p><code class="break">${row.file}</code></p><p>${row.reason}</p>${row.action && html`<p class="muted break">${t("credentials.next")} ${row.action}</p>`}</div>
      </li>`)}
    </ul>
  <//>`;
}

function Nothing({ onSignIn }) {
  return html`<${Empty} icon="credentials" title=${t("credentials.none")}
    action=${html`<${Button} kind="primary" icon="credentials" onClick=${onSignIn}>${t("sign-in.title")}<//>`}>${t("credentials.none.text")}<//>`;
}

/** Files dropped anywhere on the page. Returns how to stop. */
function dropped(take) {
  const over = (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault();
  const drop = (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  };
  addEventListener("dragover", over);
  addEventListener("drop", drop);
  return () => {
    removeEventListener("dragover", over);
    removeEventListener("drop", drop);
  };
}
