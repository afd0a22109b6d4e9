// Logs: to be drawn.
import { html } from "../view.js";
import { t } from "../i18n.js";
import { Page } from "../ui.js";

export default function Logs() {
  return html`<${Page} title=${t("nav.logs")} />`;
}
