// Clients: the keys they present, and what to put into which client. A whole key stands in this page's memory alone, and
// only when it was just made or asked for.
import { html, useState } from "../view.js";
import { t } from "../i18n.js";
import { patch, post, get, remove, useGet } from "../api.js";
import { Badge, Button, Card, CopyBlock, CopyButton, Dialog, Empty, ErrorNote, Field, IconButton, Page, Switch, Table, Time, confirm, toast } from "../ui.js";
import { SetUp } from "./clients_set_up.js";

export default function Clients() {
  const keys = useGet("/client-keys", { every: 30 });
  const about = useGet("/about");
  const [whole, setWhole] = useState({});
  const [making, setMaking] = useState(false);
  const near = about.data?.near ?? false;
  const learn = (id, key) => setWhole((old) => ({ ...old, [id]: key }));
  /** The whole key, asked of the daemon where it is not known yet; null where it may not be told. */
  const reveal = async (id) => {
    if (whole[id]) return whole[id];
    try {
      const { key } = await get(`/client-keys/${encodeURIComponent(id)}`, { reveal: 1 });
      if (!key) return null;
      learn(id, key);
      return key;
    } catch (error) {
      toast(error.message, { tone: "bad" });
      return null;
    }
  };
  const rows = keys.data?.data;
  return html`<${Page} title=${t("nav.clients")} sub=${t("clients.sub")}>
    <${Card} title=${t("clients.keys")} hint=${t("clients.keys.hint")} flush
      actions=${html`<${Button} kind="primary" icon="add" onClick=${() => setMaking(true)}>${t("clients.new")}<//>`}>
      ${rows && keys.error && html`<${ErrorNote} error=${keys.error} retry=${keys.reload} />`}
      <${Keys} rows=${rows} state=${keys} near=${near} whole=${whole} reveal=${reveal}
        forget=${(id) => setWhole(({ [id]: _, ...rest }) => rest)} />
    <//>
    <${SetUp} about=${about} keys=${rows ?? []} whole=${whole} reveal=${reveal} near=${near} />
    ${making && html`<${NewKey} taken=${rows ?? []} onClose=${() => setMaking(false)} onMade=${(made) => {
      learn(made.id, made.key);
      keys.reload();
    }} />`}
  <//>`;
}

const nameOf = (row) => row.alias || (row.source === "config" ? t("clients.unnamed.config") : row.id);

function Keys({ rows, state, near, whole, reveal, forget }) {
  const change = async (act, done) => {
    try {
      await act();
      if (done) toast(done);
    } catch (error) {
      toast(error.message, { tone: "bad" });
    }
    state.reload();
  };
  const path = (row) => `/client-keys/${encodeURIComponent(row.id)}`;
  const drop = async (row) => {
    const name = nameOf(row);
    const sure = await confirm({ title: t("clients.delete.title", { name }), text: t("clients.delete.text"), action: t("clients.delete") });
    if (sure) await change(() => remove(path(row)), t("clients.deleted", { name }));
  };
  const columns = [
    { key: "alias", label: t("clients.alias"), title: true, render: (row) => html`<span class="key-name">${nameOf(row)}</span>` },
    { key: "masked", label: t("clients.key"), render: (row) => html`<${Masked} row=${row} key_=${whole[row.id]} near=${near} reveal=${reveal} forget=${forget} />` },
    { key: "created_at", label: t("clients.made"), render: (row) => html`<${Time} at=${row.created_at} />` },
    {
      key: "enabled",
      label: t("clients.on"),
      narrow: true,
      render: (row) =>
        row.source === "config"
          ? html`<${Badge} title=${t("clients.config.title")}>${t("clients.config")}<//>`
          : html`<${Switch} quiet label=${t("clients.on.label", { name: nameOf(row) })} checked=${row.enabled}
              onChange=${(enabled) => change(() => patch(path(row), { enabled }), t(enabled ? "clients.enabled" : "clients.disabled", { name: nameOf(row) }))} />`,
    },
    {
      key: "acts",
      label: t("clients.acts"),
      hideLabel: true,
      align: "end",
      render: (row) =>
        row.source === "config"
          ? html`<${Button} kind="quiet" small href="#/settings?filter=api-keys">${t("clients.in.settings")}<//>`
          : html`<${IconButton} icon="remove" label=${t("clients.delete.label", { name: nameOf(row) })} onClick=${() => drop(row)} />`,
    },
  ];
  return html`<${Table} columns=${columns} rows=${rows} state=${state} caption=${t("clients.keys")}
    empty=${html`<${Empty} icon="clients" title=${t("clients.none")}>${t("clients.none.text")}<//>`} />`;
}

/** A key masked; whole after it was made or asked for, until it is hidden again. */
function Masked({ row, key_: key, near, reveal, forget }) {
  if (row.source === "config") return html`<code class="masked">${row.masked}</code>`;
  if (!key)
    return html`<span class="masked-row"><code class="masked">${row.masked}</code>
      ${near && html`<${IconButton} icon="eye" label=${t("clients.reveal.label", { name: nameOf(row) })} onClick=${() => reveal(row.id)} />`}</span>`;
  return html`<span class="masked-row"><code class="masked whole">${key}</code><${CopyButton} text=${key} />
    <${IconButton} icon="close" label=${t("clients.hide.label", { name: nameOf(row) })} onClick=${() => forget(row.id)} /></span>`;
}

/** Asks for a name, then shows the key: the one moment at which it is whole wherever the person sits. */
function NewKey({ taken, onClose, onMade }) {
  const [alias, setAlias] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const [made, setMade] = useState(null);
  const make = async (event) => {
    event.preventDefault();
    const name = alias.trim();
    if (!name) return setError(t("clients.alias.missing"));
    if (taken.some((row) => row.alias === name)) return setError(t("clients.alias.taken"));
    setBusy(true);
    try {
      const answer = await post("/client-keys", { alias: name });
      setMade(answer);
      onMade(answer);
    } catch (refused) {
      setError(refused.message);
    }
    setBusy(false);
  };
  if (made)
    return html`<${Dialog} title=${t("clients.made.title", { name: made.alias })} onClose=${onClose}
      footer=${html`<${Button} kind="primary" onClick=${onClose}>${t("clients.made.done")}<//>`}>
      <p>${t("clients.made.text")}</p>
      <${CopyBlock} label=${made.alias} code=${made.key} />
      <p class="hint">${t("clients.made.next")}</p>
    <//>`;
  const footer = html`<${Button} onClick=${onClose}>${t("cancel")}<//>
    <${Button} kind="primary" type="submit" form="new-client-key" busy=${busy}>${t("clients.make")}<//>`;
  return html`<${Dialog} title=${t("clients.new")} onClose=${onClose} footer=${footer}>
    <form id="new-client-key" onSubmit=${make}>
      <${Field} label=${t("clients.alias")} hint=${t("clients.alias.hint")} error=${error} value=${alias} autofocus maxlength="80"
        autocomplete="off" spellcheck=${false} onInput=${(event) => {
          setAlias(event.currentTarget.value);
          setError("");
        }} />
    </form>
  <//>`;
}
