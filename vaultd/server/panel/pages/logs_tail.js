// The log as it is written. Lines arrive in bursts, so they are gathered and drawn four times a second; what is kept is
// bounded, and what is drawn is the last of what passes the filter.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../view.js";
import { clock, dayAndTime, fullTime, moment, t } from "../i18n.js";
import { get, remove, returned, useEvents, useGet } from "../api.js";
import { Button, Card, Empty, ErrorNote, Filter, Skeleton, confirm, toast } from "../ui.js";

/** As many as the daemon's own memory of them is meant to hold; a page left open for a night must not grow. */
const KEPT = 5000;
/** What a browser lays out without a stutter; older ones are found by filtering. */
const DRAWN = 600;
const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"];
const rank = (level) => Math.max(0, LEVELS.indexOf(level === "CRITICAL" ? "ERROR" : level));
let count = 0;
const fields = (line) => Object.entries(line.fields ?? {}).filter(([, value]) => value !== "" && value !== null);

function told(line) {
  const words = fields(line).map(([name, value]) => `${name}=${value}`);
  return { ...line, level: line.level.toUpperCase(), id: ++count, hay: [line.level, line.text, ...words].join(" ").toLowerCase() };
}

/** Lines so far and those that come. While paused, what comes waits. */
function useLines(paused) {
  const [lines, setLines] = useState(null);
  const [waiting, setWaiting] = useState(0);
  const [error, setError] = useState(null);
  const queue = useRef([]);
  const cleared = useRef("");
  const load = () => {
    get("/log-lines", { limit: 1000 }).then(
      (answer) => {
        const known = answer.lines.map(told);
        // Of what came by the stream meanwhile, what the answer has already is left out.
        const last = known.length ? known[known.length - 1].at : "";
        queue.current = queue.current.filter((line) => String(line.at) > String(last));
        const first = known.length ? known[0].at : "";
        // A daemon that was restarted knows none of the lines it said before; here they stay.
        setLines((old) => [...(old ?? []).filter((line) => String(line.at) < String(first)), ...known.filter((line) => String(line.at) > cleared.current)].slice(-KEPT));
        setError(null);
      },
      (problem) => setError(problem),
    );
  };
  useEffect(() => {
    load();
    return returned.listen(load);
  }, []);
  useEvents("log", (line) => {
    queue.current.push(told(line));
    if (queue.current.length > KEPT) queue.current.splice(0, queue.current.length - KEPT);
  });
  useEffect(() => {
    const timer = setInterval(() => {
      if (!queue.current.length) return;
      if (paused) return setWaiting(queue.current.length);
      const come = queue.current.splice(0);
      setWaiting(0);
      setLines((old) => (old ? [...old, ...come].slice(-KEPT) : old));
    }, 250);
    return () => clearInterval(timer);
  }, [paused]);
  const clear = () => {
    if (lines.length) cleared.current = String(lines[lines.length - 1].at);
    setLines([]);
  };
  return { lines, waiting: paused ? waiting : 0, error, load, clear };
}

export function Tail({ query }) {
  const [paused, setPaused] = useState(false);
  const [level, setLevel] = useState("INFO");
  const [filter, setFilter] = useState(query.filter ?? "");
  const { lines, waiting, error, load, clear } = useLines(paused);
  const shown = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return lines?.filter((line) => rank(line.level) >= rank(level) && words.every((word) => line.hay.includes(word)));
  }, [lines, level, filter]);
  const drawn = shown?.slice(-DRAWN);
  return html`<div class="tools-line">
      <${Filter} value=${filter} onInput=${setFilter} label=${t("logs.filter")} />
      <label class="row"><span class="muted small">${t("logs.level")}</span>
        <select class="short" value=${level} onChange=${(event) => setLevel(event.currentTarget.value)}>
          ${LEVELS.map((one) => html`<option key=${one} value=${one} selected=${one === level}>${t(`logs.level.${one}`)}</option>`)}
        </select></label>
      <span class="actions apart">
        <${Button} icon=${paused ? "play" : "pause"} aria-pressed=${paused ? "true" : "false"} onClick=${() => setPaused(!paused)}>
          ${paused ? (waiting ? t("logs.resume.n", { n: waiting }) : t("logs.resume")) : t("logs.pause")}<//>
        <${Button} onClick=${clear} disabled=${!lines?.length}>${t("logs.clear")}<//>
      </span>
    </div>
    <${Card} class="log-card" flush>
      ${!drawn
        ? error ? html`<${ErrorNote} error=${error} retry=${load} />` : html`<${Skeleton} rows=${12} />`
        : drawn.length ? html`<${Lines} lines=${drawn} left=${shown.length - drawn.length} follow=${!paused} />`
        : html`<${Nothing} lines=${lines} level=${level} all=${() => { setFilter(""); setLevel("DEBUG"); }} />`}
    <//>
    <${LogFile} />`;
}

function Nothing({ lines, level, all }) {
  if (!lines.length) return html`<${Empty} icon="logs" title=${t("logs.none")}>${t("logs.none.text")}<//>`;
  return html`<${Empty} icon="search" title=${t("logs.unfound", { level: t(`logs.level.${level}`) })} action=${html`<${Button} onClick=${all}>${t("logs.all", { n: lines.length })}<//>`} />`;
}

/** Stays at the end as long as a person has not scrolled up to read. */
function Lines({ lines, left, follow }) {
  const box = useRef(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    if (follow && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines, follow]);
  const scrolled = () => (atEnd.current = box.current.scrollHeight - box.current.scrollTop - box.current.clientHeight < 40);
  return html`<div class="log" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-label=${t("logs.tab.tail")} aria-live="off">
    ${left > 0 && html`<p class="log-left muted">${t("logs.left", { n: left })}</p>`}
    ${lines.map((line) => html`<${Line} key=${line.id} line=${line} />`)}
  </div>`;
}

function Line({ line }) {
  const at = moment(line.at);
  const today = at && at.toDateString() === new Date().toDateString();
  return html`<div class=${`log-line ${line.level.toLowerCase()}`}>
    <time title=${at ? fullTime(at) : ""}>${at ? (today ? clock(at) : dayAndTime(at)) : ""}</time>
    <b>${t(`logs.short.${line.level}`, { or: line.level })}</b>
    <span class="log-text">${line.text}${fields(line).map(([name, value]) => html` <span class="log-field" key=${name}><i>${name}=</i>${String(value)}</span>`)}</span>
  </div>`;
}

/** The files behind `/logs`, where the operator has the log written to some. */
function LogFile() {
  const file = useGet("/logging-to-file");
  if (!file.data || !file.data["logging-to-file"]) return null;
  const wipe = async () => {
    if (!(await confirm({ title: t("logs.file.wipe"), text: t("logs.file.wipe.text"), action: t("logs.file.wipe.do") }))) return;
    try {
      await remove("/logs");
      toast(t("logs.file.wiped"));
    } catch (error) {
      toast(`${error.message} ${error.advice}`, { tone: "bad" });
    }
  };
  return html`<p class="row muted small">${t("logs.file.on")} <${Button} small kind="quiet" icon="remove" onClick=${wipe}>${t("logs.file.wipe")}<//></p>`;
}
