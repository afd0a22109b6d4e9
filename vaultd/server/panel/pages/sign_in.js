// Signing in to a vendor from the page: which vendor, then the sign-in itself until it is usable. A sign-in lives in the
// daemon; closing the dialog or loading the page again leaves it waiting, and the page Credentials leads back to it.
import { html, useEffect, useState } from "../view.js";
import { language, t } from "../i18n.js";
import { post, remove, useGet } from "../api.js";
import { Badge, Button, Dialog, ErrorNote, Icon, Note, Skeleton, State, Tabs, toast } from "../ui.js";
import { Ask, Countdown, Device, OpenPage, Paste } from "./sign_in_steps.js";

const NO_WAYS = [];
export const nameOf = (providers, id) => providers?.find((one) => one.id === id)?.name || id;

/** `provider`: begin with this one, `label`: what its account is called, so that it replaces the one of that name. `state`: take up this waiting sign-in. `onDone` whenever one has ended well. */
export function SignIn({ provider, label, state, near, onClose, onDone }) {
  const providers = useGet("/providers");
  const [current, setCurrent] = useState(state ?? null);
  const [busy, setBusy] = useState("");
  const [error, setError] = useState(null);
  const list = providers.data?.data;
  const begin = async (id, way) => {
    setBusy(id);
    setError(null);
    try {
      const sign = await post("/sign-ins", { provider: id, ...(way && { way }), ...(label && id === provider && { label }) });
      setCurrent(sign.state);
    } catch (refused) {
      setError(refused);
      setCurrent(null);
    }
    setBusy("");
  };
  useEffect(() => {
    if (provider && !state) begin(provider);
  }, []);
  if (current)
    return html`<${Flow} key=${current} state=${current} providers=${list} near=${near} onClose=${onClose} onDone=${onDone}
      restart=${(id, way) => begin(id, way)} choose=${() => setCurrent(null)} />`;
  return html`<${Dialog} title=${t("sign-in.title")} onClose=${onClose} wide>
    <${ErrorNote} error=${error ?? providers.error} retry=${error ? undefined : providers.reload} />
    ${!list ? !providers.error && html`<${Skeleton} rows=${5} kind="row" />` : html`<${Vendors} list=${list} busy=${busy} begin=${begin} />`}
  <//>`;
}

/** Every vendor one can sign in to; those that have ended last. */
function Vendors({ list, busy, begin }) {
  const open = list.filter((one) => one.ways?.length).sort((a, b) => Boolean(a.sunset) - Boolean(b.sunset));
  return html`<p class="hint">${t("sign-in.choose")}</p>
    <ul class="vendors">
      ${open.map((one) => html`<li key=${one.id}>
        <button type="button" class="vendor" disabled=${Boolean(busy)} aria-busy=${busy === one.id ? "true" : undefined} onClick=${() => begin(one.id)}>
          <span class="vendor-mark" aria-hidden="true">${(one.name || one.id).slice(0, 1).toUpperCase()}</span>
          <span class="vendor-words">
            <span class="vendor-name">${one.name || one.id}</span>
            <span class="muted">${one.ways.map((way) => t(`sign-in.way.${way}`)).join(t("sign-in.or"))}</span>
            ${one.sunset && html`<${Badge} tone="warn">${t("sign-in.sunset", { date: one.sunset })}<//>`}
          </span>
          ${busy === one.id ? html`<span class="spinner"></span>` : html`<${Icon} name="right" />`}
        </button>
      </li>`)}
    </ul>`;
}

function Flow({ state, providers, near, onClose, onDone, restart, choose }) {
  const path = `/sign-ins/${encodeURIComponent(state)}`;
  const asked = useGet(path, { every: 1.5, topics: "sign-ins" });
  const sign = asked.data;
  // The way that is changed to: between the end of one sign-in and the beginning of the next nothing may be opened.
  const [leaving, setLeaving] = useState("");
  const gone = !leaving && asked.error?.status === 404;
  useEffect(() => {
    if (sign?.status === "ok") onDone?.(sign);
  }, [sign?.status]);
  const name = nameOf(providers, sign?.provider);
  const waiting = leaving || (sign && !gone && (sign.status === "wait" || sign.status === "asking"));
  const cancel = async () => {
    try {
      await remove(path);
    } catch {
      // It has ended by itself meanwhile: what was wanted.
    }
    onClose();
  };
  const footer = html`${waiting && html`<${Button} kind="quiet" onClick=${cancel}>${t("sign-in.cancel")}<//>`}
    ${!waiting && html`<${Button} onClick=${choose}>${t("sign-in.another")}<//>`}
    <${Button} kind=${sign?.status === "ok" ? "primary" : "plain"} onClick=${onClose}>${t(waiting ? "sign-in.later" : sign?.status === "ok" ? "sign-in.done" : "close")}<//>`;
  return html`<${Dialog} title=${sign ? t("sign-in.to", { name }) : t("sign-in.title")} onClose=${onClose} footer=${footer} wide>
    ${gone && !asked.data?.credential
      ? html`<${Failed} text=${t("sign-in.gone")} sign=${sign} restart=${restart} />`
      : !sign
        ? html`<${ErrorNote} error=${asked.error} retry=${asked.reload} />${!asked.error && html`<${Skeleton} rows=${4} kind="row" />`}`
        : sign.status === "ok"
          ? html`<${Succeeded} sign=${sign} name=${name} />`
          : sign.status === "error" && !leaving
            ? html`<${Failed} text=${sign.error === "cancelled" ? t("sign-in.gone") : sign.error} sign=${sign} restart=${restart} />`
            : html`<${Waiting} sign=${sign} name=${name} near=${near} path=${path} reload=${asked.reload} restart=${restart}
                leaving=${leaving} setLeaving=${setLeaving} ways=${providers?.find((one) => one.id === sign.provider)?.ways ?? NO_WAYS} />`}
  <//>`;
}

/** What the vendor and the daemon need of the person now. */
function Waiting({ sign, name, near, path, reload, restart, ways, leaving, setLeaving }) {
  const change = async (way) => {
    if (way === sign.way || leaving) return;
    setLeaving(way);
    try {
      await remove(path);
    } catch (error) {
      if (error.status !== 404) toast(error.message, { tone: "bad" });
    }
    restart(sign.provider, way);
  };
  return html`<div class="sign-in">
    <div class="sign-in-top">
      ${ways.length > 1
        ? html`<${Tabs} label=${t("sign-in.ways")} current=${leaving || sign.way} onChange=${change} tabs=${ways.map((way) => ({ id: way, label: t(`sign-in.way.${way}`) }))} />`
        : html`<span class="muted">${t(`sign-in.way.${sign.way}`)}</span>`}
      <${Countdown} until=${sign.expires_at} />
    </div>
    <${Notes} notes=${sign.notes} />
    ${leaving
      ? html`<${Skeleton} rows=${4} kind="row" />`
      : sign.status === "asking" && sign.question
        ? html`<${Ask} key=${sign.question.text} sign=${sign} name=${name} path=${path} onAnswered=${reload} />`
        : sign.way === "device"
          ? html`<${Device} sign=${sign} name=${name} />`
          : html`<${OpenPage} sign=${sign} name=${name} /><${Paste} sign=${sign} near=${near} onSent=${reload} />`}
  </div>`;
}

function Notes({ notes }) {
  if (!notes?.length) return null;
  return html`<${Note} tone="warn"><ul class="plain-list">${notes.map((line, n) => html`<li key=${n}>${line}</li>`)}</ul><//>`;
}

function Succeeded({ sign, name }) {
  const credential = useGet(sign.credential ? `/credentials/${encodeURIComponent(sign.credential)}` : null, { every: 3 });
  const row = credential.data;
  return html`<div class="succeeded" role="status">
    <span class="succeeded-mark"><${Icon} name="check" size=${26} /></span>
    <p class="succeeded-title">${t("sign-in.ok", { name })}</p>
    <p><code>${sign.credential}</code>${row?.plan && html` <${Badge}>${row.plan}<//>`}</p>
    ${row && html`<p><${State} state=${row.state} /> ${row.reason}</p>`}
    <${Notes} notes=${sign.notes} />
  </div>`;
}

function Failed({ text, sign, restart }) {
  const again = sign && html`<${Button} kind="primary" icon="refresh" onClick=${() => restart(sign.provider, sign.way)}>${t("sign-in.again")}<//>`;
  return html`<div role="alert"><${Note} tone="bad" title=${t("sign-in.failed")} action=${again}>
    <p>${text}</p>
    ${language.get() === "zh" && html`<p>${t("sign-in.failed.words")}</p>`}
  <//></div>
    <${Notes} notes=${sign?.notes} />`;
}
