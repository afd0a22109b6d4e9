// What stands above a page: dialogs (the browser's own <dialog>, which keeps the focus in, closes on Esc and gives the focus
// back), one question at a time, and toasts.
import { html, store, useEffect, useId, useRef, useState, useStore } from "./view.js";
import { t } from "./i18n.js";
import { Icon } from "./icons.js";

/** The dialogs that stand open, the last on top. What lies beneath it is inert, toasts included; so the top one shows them. */
const open = store([]);

/** `onClose` is called for Esc, the cross and a press beside it. `footer` holds the buttons, the main one last. */
export function Dialog({ title, onClose, children, footer, wide }) {
  const box = useRef(null);
  const id = useId();
  useEffect(() => {
    open.set([...open.get(), id]);
    return () => open.set(open.get().filter((one) => one !== id));
  }, [id]);
  useEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    // The cross would be first in line, and a person who opened this did not come to close it.
    (box.current.querySelector("[autofocus]") ?? box.current.querySelector("h2")).focus();
    return () => before?.isConnected && before.focus();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  // A press that began inside (text being selected) and ended outside does not close.
  const press = (event) => event.target === box.current && onClose();
  return html`<dialog ref=${box} class=${wide ? "dialog wide" : "dialog"} aria-labelledby=${id} onCancel=${cancel} onMouseDown=${press}>
    <div class="dialog-box">
      <header class="dialog-head">
        <h2 id=${id} tabindex="-1">${title}</h2>
        <button type="button" class="icon-button" aria-label=${t("close")} title=${t("close")} onClick=${onClose}><${Icon} name="close" /></button>
      </header>
      <div class="dialog-body">${children}</div>
      ${footer && html`<footer class="dialog-foot">${footer}</footer>`}
    </div>
    <${Toasts} within=${id} />
  </dialog>`;
}

const question = store(null);

/** Asks before what cannot be taken back. `action` is the word on the button that does it; `typed`, if given, must be typed
 * first. Resolves to whether to do it. */
export function confirm({ title, text, action, danger = true, typed = "" }) {
  return new Promise((resolve) => question.set({ title, text, action, danger, typed, resolve }));
}

/** The host of `confirm`; app.js draws it once. */
export function Confirm() {
  const asked = useStore(question);
  const [word, setWord] = useState("");
  if (!asked) return null;
  const answer = (yes) => {
    question.set(null);
    setWord("");
    asked.resolve(yes);
  };
  const footer = html`<button type="button" class="button plain" onClick=${() => answer(false)}><span>${t("cancel")}</span></button>
    <button type="button" class=${`button ${asked.danger ? "danger" : "primary"}`} disabled=${asked.typed !== word.trim() && asked.typed !== ""}
      onClick=${() => answer(true)}><span>${asked.action}</span></button>`;
  return html`<${Dialog} title=${asked.title} onClose=${() => answer(false)} footer=${footer}>
    <p>${asked.text}</p>
    ${asked.typed && html`<label class="field">${t("confirm.type", { word: asked.typed })}
      <input value=${word} autocomplete="off" spellcheck=${false} onInput=${(event) => setWord(event.currentTarget.value)} />
    </label>`}
  <//>`;
}

const shown = store([]);
let count = 0;

/** A word at the edge. Gone after five seconds, unless it is bad news: that stays until it is put away. */
export function toast(text, { tone = "ok", action, onAction } = {}) {
  const id = ++count;
  const away = () => shown.set(shown.get().filter((one) => one.id !== id));
  // Four at most: the oldest has been read or never will be.
  shown.set([...shown.get().slice(-3), { id, text, tone, action, onAction, away }]);
  if (tone !== "bad") setTimeout(away, 5000);
}

/** `within`: the dialog it is drawn in; none for the page's own. The place itself is always there: what comes with its place
 * is read out to nobody. */
export function Toasts({ within }) {
  const all = useStore(shown);
  const toasts = useStore(open).at(-1) === within ? all : [];
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.map((one) => html`<div key=${one.id} class=${`toast ${one.tone}`}>
      <${Icon} name=${one.tone === "bad" ? "alert" : "check"} />
      <span>${one.text}</span>
      ${one.action && html`<button type="button" class="button quiet small" onClick=${() => { one.away(); one.onAction(); }}>${one.action}</button>`}
      <button type="button" class="icon-button" aria-label=${t("close")} onClick=${one.away}><${Icon} name="close" size=${16} /></button>
    </div>`)}
  </div>`;
}
