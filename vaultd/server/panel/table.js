// Tables that are tables where there is room and cards where there is not (components.css does it, by each cell's label).
import { html, useState } from "./view.js";
import { t } from "./i18n.js";
import { Button, ErrorNote, Skeleton } from "./ui.js";

/** Rows drawn at first, and again each time more are asked for: a browser lays out so many at once without a stutter, and
 * whoever seeks one of thousands filters. */
const DRAWN = 200;

/**
 * columns: [{key, label, render?(row), align?: "end", title?: bool, narrow?: bool, hideLabel?: bool, roomy?: bool}]; `title` marks the
 * cell that heads the card at phone width, `roomy` one that is left out there and beside the narrow menu. `onRow(row)` makes rows openable by pointer and, by the button in the title cell, by
 * keyboard. `state`: what `useGet` gave, to show loading and errors in place. `flow`: at phone width a row is its title and
 * then all else in lines of small print, for rows that are many and speak for themselves.
 */
export function Table({ columns, rows, rowKey = (row) => row.id, caption, empty, onRow, openLabel, state, selected, flow }) {
  const [most, setMost] = useState(DRAWN);
  if (!rows && state?.error) return html`<${ErrorNote} error=${state.error} retry=${state.reload} />`;
  if (!rows) return html`<${Skeleton} rows=${4} kind="row" />`;
  if (!rows.length) return empty ?? null;
  const open = (row) => (event) => {
    // What is clicked for itself, or being selected, does not open the row.
    if (!event.target.closest("a, button, input, select, label") && !String(getSelection())) onRow(row);
  };
  const left = rows.length - most;
  return html`<div class="table-frame" tabindex="0" role="group" aria-label=${caption}>
    <table class=${["table", onRow && "openable", flow && "flow"].filter(Boolean).join(" ")}>
      <caption class="unseen">${caption}</caption>
      <thead><tr>${columns.map((column) => html`<th key=${column.key} scope="col" class=${classes(column)}>
        ${column.hideLabel ? html`<span class="unseen">${column.label}</span>` : column.label}</th>`)}</tr></thead>
      <tbody>${rows.slice(0, most).map((row) => html`<tr key=${rowKey(row)} class=${selected && selected(row) ? "selected" : ""} onClick=${onRow && open(row)}>
        ${columns.map((column) => html`<td key=${column.key} class=${classes(column)} data-label=${column.hideLabel ? "" : column.label}>
          ${cell(column, row, onRow, openLabel)}</td>`)}
      </tr>`)}</tbody>
    </table>
    ${left > 0 && html`<div class="more"><${Button} onClick=${() => setMost(most + DRAWN)}>${t("table.more", { n: left })}<//></div>`}
  </div>`;
}

const classes = (column) =>
  [column.align === "end" && "end", column.title && "title-cell", column.narrow && "narrow", column.hideLabel && "bare", column.roomy && "roomy"].filter(Boolean).join(" ");

function cell(column, row, onRow, openLabel) {
  const inside = column.render ? column.render(row) : (row[column.key] ?? "—");
  if (!column.title || !onRow) return inside;
  return html`<button type="button" class="row-button" aria-label=${openLabel ? openLabel(row) : undefined} title=${openLabel ? undefined : t("open")}
    onClick=${() => onRow(row)}>${inside}</button>`;
}
