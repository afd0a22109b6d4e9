// One model, above the list: tried with a streamed answer, as code to take along, and who would serve it and why.
import { html, useEffect, useRef, useState } from "../view.js";
import { duration, number, spoken, t } from "../i18n.js";
import { stream, useGet } from "../api.js";
import { Button, CopyBlock, Dialog, Empty, ErrorNote, Field, Note, Skeleton, State, Tabs, Time } from "../ui.js";
import { SAMPLES } from "./models_samples.js";

const TABS = ["try", "code", "who"];

export function Model({ model, tab, onClose }) {
  const [current, setCurrent] = useState(TABS.includes(tab) ? tab : "try");
  return html`<${Dialog} wide title=${model.id} onClose=${onClose}>
    <${Tabs} label=${model.id} current=${current} onChange=${setCurrent} tabs=${TABS.map((id) => ({ id, label: t(`models.tab.${id}`) }))} />
    <div role="tabpanel" class="stack model-panel" aria-label=${t(`models.tab.${current}`)}>
      ${current === "try" ? html`<${Try} model=${model} />` : current === "code" ? html`<${Code} model=${model} />` : html`<${Who} model=${model} />`}
    </div>
  <//>`;
}

function Try({ model }) {
  const [prompt, setPrompt] = useState(t("models.try.prompt"));
  const [most, setMost] = useState(512);
  const [answer, setAnswer] = useState(null);
  const stop = useRef(null);
  useEffect(() => () => stop.current?.abort(), []);
  const running = answer?.state === "running";
  const change = (more) => setAnswer((old) => ({ ...old, ...(typeof more === "function" ? more(old) : more) }));
  const hear = (event, data) => {
    if (event === "served") change({ served: data });
    else if (event === "text") change((old) => ({ text: old.text + data.text }));
    else if (event === "reasoning") change((old) => ({ reasoning: old.reasoning + data.text }));
    else if (event === "done") change({ state: "done", done: data });
    else if (event === "error") change({ state: "failed", error: { message: data.message, advice: t("models.try.advice") } });
  };
  const run = async (event) => {
    event?.preventDefault();
    if (running || !prompt.trim()) return;
    const mine = new AbortController();
    stop.current = mine;
    setAnswer({ state: "running", text: "", reasoning: "" });
    try {
      await stream("/try", { model: model.id, prompt, max_tokens: most }, hear, mine.signal);
      change((old) => (old.state === "running" ? { state: "failed", error: { message: t("models.try.cut"), advice: t("models.try.advice") } } : {}));
    } catch (error) {
      change(mine.signal.aborted ? { state: "stopped" } : { state: "failed", error });
    }
  };
  const keys = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && run(event);
  return html`<form class="stack" onSubmit=${run}>
      <${Field} as="textarea" label=${t("models.try.label")} rows="3" value=${prompt} onInput=${(event) => setPrompt(event.currentTarget.value)} onKeyDown=${keys} />
      <div class="try-line">
        <${Field} label=${t("models.try.most")} type="number" inputmode="numeric" min="1" max="100000" value=${most} onInput=${(event) => setMost(Number(event.currentTarget.value) || 1)} />
        ${running
          ? html`<${Button} icon="stop" onClick=${() => stop.current.abort()}>${t("models.try.stop")}<//>`
          : html`<${Button} kind="primary" icon="play" type="submit" disabled=${!prompt.trim()}>${t("models.try.run")}<//>`}
      </div>
    </form>
    <p class="hint">${t("models.try.cost")}</p>
    ${answer && html`<${Answer} answer=${answer} />`}`;
}

function Answer({ answer }) {
  const { state, served, text, reasoning, done, error } = answer;
  return html`<div class="answer" aria-live="polite" aria-busy=${state === "running" ? "true" : "false"}>
    <p class="answer-head muted">
      ${served ? html`<span>${t("models.try.served", { credential: served.credential })}</span>` : state === "running" && html`<span>${t("models.try.asking")}</span>`}
      ${served && served.model && html`<code>${served.model}</code>`}
      ${state === "running" && html`<span class="spinner"></span>`}
    </p>
    ${reasoning && html`<details class="reasoning"><summary>${t("models.try.reasoning")}</summary><p>${reasoning}</p></details>`}
    ${text ? html`<p class="answer-text">${text}</p>` : state === "running" && html`<${Skeleton} rows=${2} />`}
    ${error && html`<${ErrorNote} error=${error} />`}
    ${state === "stopped" && html`<p class="muted">${t("models.try.stopped")}</p>`}
    ${done && html`<p class="answer-foot muted number">${facts(done).join(" · ")}</p>`}
  </div>`;
}

function facts({ first, seconds, usage }) {
  return [
    first && t("models.try.first", { time: duration(first) }),
    seconds && t("models.try.whole", { time: duration(seconds) }),
    usage && t("models.try.tokens", { input: number(usage.input), output: number(usage.output) }),
  ].filter(Boolean);
}

function Code({ model }) {
  const about = useGet("/about");
  const native = SAMPLES.find((sample) => model.formats.some((format) => sample.formats.includes(format))) ?? SAMPLES[0];
  const [current, setCurrent] = useState(native.id);
  if (!about.data) return about.error ? html`<${ErrorNote} error=${about.error} retry=${about.reload} />` : html`<${Skeleton} rows=${6} />`;
  const sample = SAMPLES.find((one) => one.id === current);
  const address = about.data.client_address.replace(/\/$/, "");
  return html`<${Tabs} label=${t("models.code")} current=${current} onChange=${setCurrent} tabs=${SAMPLES.map((one) => ({ id: one.id, label: one.label }))} />
    <${CopyBlock} label="curl" code=${sample.curl(address, model.id)} />
    <${CopyBlock} label=${`Python · pip install ${sample.package}`} code=${sample.python(address, model.id)} />
    <${Note}><p>${t("models.code.key")} <a href="#/clients">${t("models.code.key.go")}</a></p><//>`;
}

function Who({ model }) {
  const told = useGet("/explain", { query: { model: model.id }, topics: "credentials" });
  return html`${told.error && html`<${ErrorNote} error=${told.error} retry=${told.reload} />`}
    ${told.data?.answer && html`<${Note} tone=${model.credentials.some((one) => one.state === "available") ? "info" : "warn"} title=${told.data.answer} />`}
    ${!model.credentials.length
      ? html`<${Empty} title=${t("models.who.none")} action=${html`<${Button} href="#/credentials?sign-in=">${t("models.sign_in")}<//>`} />`
      : html`<ul class="who">${model.credentials.map((one) => html`<li key=${one.id}>
          <div><a href=${`#/credentials?${new URLSearchParams({ filter: one.id })}`}>${one.id}</a>
            ${one.reason && html`<p class="muted small">${spoken(one.reason)}${one.until && html` · <${Time} at=${one.until} />`}</p>`}</div>
          <${State} state=${one.state} />
        </li>`)}</ul>`}`;
}
