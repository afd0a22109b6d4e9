// One plot over time: stacked bars for what adds up, lines for what does not. uPlot draws (a canvas, so a hundred thousand
// requests cost what their sums cost) and is fetched when the first plot is; the legend, the words at the pointer and the
// table for who cannot see a canvas are ours.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./view.js";
import { clock, compact, day, dayAndTime, t } from "./i18n.js";

const HEIGHT = 240;
/** The room for the figures beside it. */
const AXIS = 52;
let fetching = null;

/** Its IIFE build is a third of its module's size; the name it leaves behind is `uPlot`. */
function fetched() {
  const added = (tag, facts) =>
    new Promise((resolve, reject) => {
      document.head.append(Object.assign(document.createElement(tag), facts, { onload: resolve, onerror: reject }));
    });
  fetching ??= Promise.all([
    added("script", { src: "/panel/vendor/uPlot.iife.min.js" }),
    added("link", { rel: "stylesheet", href: "/panel/vendor/uPlot.min.css" }),
  ]).then(() => globalThis.uPlot);
  fetching.catch(() => (fetching = null));
  return fetching;
}

/** A day begins at the daemon's midnight, which may be the evening before where the browser is; its noon is on that day
 * nearly everywhere. */
const dayOf = (seconds) => day(seconds + 12 * 3600);

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Eight colours that are told apart, then grey for the rest. */
const colour = (n, row) => token(row.token ?? (n < 8 && row.name !== "other" ? `--plot-${n + 1}` : "--plot-rest"));

/** Drawn anew when the theme changes, for a canvas knows no CSS. */
function useThemeTurn() {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const again = () => setTurn((n) => n + 1);
    const media = matchMedia("(prefers-color-scheme: dark)");
    addEventListener("vaultd:theme", again);
    media.addEventListener("change", again);
    return () => {
      removeEventListener("vaultd:theme", again);
      media.removeEventListener("change", again);
    };
  }, []);
  return turn;
}

/** Each row on top of those after it, so that the first drawn is the whole and covers nothing. */
function stacked(rows) {
  const sums = rows.map((row) => row.values.map((value) => value ?? 0));
  for (let n = rows.length - 2; n >= 0; n--) sums[n] = sums[n].map((value, at) => value + sums[n + 1][at]);
  return sums;
}

function options(uPlot, { at, rows, every, lines, format, width, colours, point }) {
  const step = every === "hour" ? 3600 : 86400;
  const label = (seconds) => (every === "hour" ? clock(seconds).slice(0, 5) : dayOf(seconds));
  const axis = { stroke: token("--muted"), font: `11px ${token("--sans")}`, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    padding: [12, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: Boolean(lines), size: 7 }, drag: { x: false, y: false } },
    scales: {
      // Half a step on either side: a bar stands on its hour, not beside it.
      x: { time: true, range: () => [at[0] - step / 2, at[at.length - 1] + step / 2] },
      y: { range: (_, __, most) => [0, most > 0 ? most * 1.06 : 1] },
    },
    axes: [
      { ...axis, size: 28, grid: { show: false }, space: every === "hour" ? 60 : 70, incrs: [3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600], values: (_, splits) => splits.map(label) },
      { ...axis, size: AXIS, gap: 6, grid: { stroke: token("--line"), width: 1 }, values: (_, splits) => splits.map(format) },
    ],
    series: [
      {},
      ...rows.map((row, n) => ({
        label: row.label,
        stroke: colours[n],
        width: lines ? 2 : 0,
        fill: lines ? undefined : colours[n],
        // An hour between two silent ones has no line to either side.
        points: { show: Boolean(lines), size: 5, fill: colours[n] },
        spanGaps: false,
        paths: lines ? undefined : uPlot.paths.bars({ size: [0.72, 44], gap: 1, radius: 0.12 }),
      })),
    ],
    hooks: { setCursor: [(u) => point(u.cursor.idx ?? null, u.cursor.left)] },
  };
}

/**
 * rows: [{name, label, values, token?}], one value for each of `at` (unix seconds), drawn in the colour of the token if given; `every`: "hour" or "day"; `format(value)` says a value
 * in words; `lines` for what cannot be stacked; `label` says what is shown.
 */
export function Plot({ at, rows, every, format = compact, lines = false, label }) {
  const box = useRef(null);
  const frame = useRef(null);
  const [uPlot, setLibrary] = useState(null);
  const [failed, setFailed] = useState(false);
  const [hidden, setHidden] = useState(new Set());
  const [width, setWidth] = useState(0);
  const [pointed, setPointed] = useState({ at: null, left: 0 });
  const [tabled, setTabled] = useState(false);
  const turn = useThemeTurn();
  const colours = useMemo(() => rows.map((row, n) => colour(n, row)), [rows, turn]);
  const seen = rows.filter((row) => !hidden.has(row.name));

  useEffect(() => {
    fetched().then((found) => setLibrary(() => found), () => setFailed(true));
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (!uPlot || !width || !at.length || !seen.length) return undefined;
    const point = (index, left) => setPointed({ at: index, left });
    const own = seen.map((row) => colours[rows.indexOf(row)]);
    const data = [at, ...(lines ? seen.map((row) => row.values) : stacked(seen))];
    const drawn = new uPlot(options(uPlot, { at, rows: seen, every, lines, format, width, colours: own, point }), data, box.current);
    return () => {
      drawn.destroy();
      setPointed({ at: null, left: 0 });
    };
  }, [uPlot, width, at, rows, every, lines, hidden, colours]);

  const toggle = (name) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    // The last one seen, hidden: all are seen again.
    setHidden(next.size === rows.length ? new Set() : next);
  };
  return html`<div class="plot">
    <div class="plot-frame" ref=${frame}>
      <div class="plot-canvas" ref=${box} role="img" aria-label=${label}></div>
      ${failed && html`<p class="muted">${t("plot.failed")}</p>`}
      ${pointed.at !== null && html`<${Pointed} index=${pointed.at} left=${pointed.left} width=${width} ...${{ at, rows: seen, all: rows, colours, every, format, lines }} />`}
    </div>
    ${rows.length > 1 && html`<div class="legend">${rows.map((row, n) => html`<button type="button" key=${row.name} class="legend-item"
      aria-pressed=${hidden.has(row.name) ? "false" : "true"} onClick=${() => toggle(row.name)}>
      <i style=${{ background: colours[n] }}></i><span>${row.label}</span></button>`)}</div>`}
    <details class="plot-table" onToggle=${(event) => setTabled(event.currentTarget.open)}><summary>${t("plot.table")}</summary>
      ${tabled && html`<${Values} ...${{ at, rows, every, format, label }} />`}</details>
  </div>`;
}

const when = (seconds, every) => (every === "hour" ? dayAndTime(seconds) : dayOf(seconds));

/** The words beside the pointer, on whichever side has room. */
function Pointed({ index, left, width, at, rows, all, colours, every, format, lines }) {
  // Moved, not laid out anew: it follows the pointer.
  const side = { transform: left > width / 2 ? `translateX(calc(${left + AXIS - 16}px - 100%))` : `translateX(${left + AXIS + 16}px)` };
  const told = rows.filter((row) => row.values[index] !== null && (lines || row.values[index] > 0));
  const sum = rows.reduce((so, row) => so + (row.values[index] ?? 0), 0);
  return html`<div class="pointed" style=${side} aria-hidden="true">
    <p class="pointed-when">${when(at[index], every)}</p>
    ${told.map((row) => html`<p key=${row.name}><i style=${{ background: colours[all.indexOf(row)] }}></i><span>${row.label}</span><b>${format(row.values[index])}</b></p>`)}
    ${!lines && told.length !== 1 && html`<p class="pointed-sum"><span>${t("plot.sum")}</span><b>${format(sum)}</b></p>`}
  </div>`;
}

function Values({ at, rows, every, format, label }) {
  return html`<div class="table-frame" tabindex="0" role="group" aria-label=${label}><table class="plain-table">
    <caption class="unseen">${label}</caption>
    <thead><tr><th scope="col">${t("plot.when")}</th>${rows.map((row) => html`<th key=${row.name} scope="col">${row.label}</th>`)}</tr></thead>
    <tbody>${at.map((seconds, n) => html`<tr key=${seconds}><th scope="row">${when(seconds, every)}</th>
      ${rows.map((row) => html`<td key=${row.name}>${row.values[n] === null ? "—" : format(row.values[n])}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}
