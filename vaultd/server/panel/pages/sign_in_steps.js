// What a person does in a sign-in, one piece each: open the vendor's page, enter a code there, paste what the browser ended
// on, answer a question.
import { html, useMemo, useState } from "../view.js";
import { moment, t } from "../i18n.js";
import { post } from "../api.js";
import { Button, CopyButton, Field, Icon, Note, useNow } from "../ui.js";

/** How long the daemon still waits. */
export function Countdown({ until }) {
  const now = useNow(1);
  const at = moment(until);
  if (!at) return null;
  const left = Math.max(0, Math.round((at.getTime() - now) / 1000));
  const digits = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  return html`<span class="countdown"><${Icon} name="clock" size=${16} /><span class="number">${t("sign-in.left", { time: digits })}</span></span>`;
}

/** A QR code as one path: a light ground whatever the theme, because cameras expect dark on light (ISO/IEC 18004). */
export function Qr({ qr, label }) {
  // Its standard wants four modules of quiet around it; what the matrix brings along is part of its rows.
  const quiet = 4;
  const path = useMemo(() => {
    let drawn = "";
    qr.rows.forEach((row, y) => {
      for (const run of row.matchAll(/1+/g)) drawn += `M${run.index + quiet} ${y + quiet}h${run[0].length}v1h-${run[0].length}z`;
    });
    return drawn;
  }, [qr]);
  const side = qr.rows.length + 2 * quiet;
  return html`<svg class="qr" viewBox=${`0 0 ${side} ${side}`} role="img" aria-label=${label} shape-rendering="crispEdges">
    <rect width=${side} height=${side} fill="#fff" /><path d=${path} fill="#000" />
  </svg>`;
}

function Step({ n, title, children }) {
  return html`<section class="step"><span class="step-mark" aria-hidden="true">${n}</span><div class="step-body"><h3>${title}</h3>${children}</div></section>`;
}

/** The link out. No window of ours is handed to the vendor's page. */
function Open({ sign, name }) {
  const [shown, setShown] = useState(false);
  const { url, qr } = sign;
  // Where a person enters a code is the vendor's word: whatever is no web address is shown and not gone to.
  if (!/^https?:\/\//i.test(url)) return html`<${Note} tone="bad" title=${t("sign-in.no-address")}><code class="break">${url}</code><//>`;
  return html`<div class="open-buttons">
      <${Button} kind="primary" icon="open" href=${url} target="_blank" rel="noopener noreferrer">${t("sign-in.open")}<//>
      <${CopyButton} text=${url} label=${t("sign-in.copy")} kind="plain" small=${false} />
      ${qr && html`<${Button} icon="phone" aria-expanded=${shown ? "true" : "false"} onClick=${() => setShown(!shown)}>${t("sign-in.qr")}<//>`}
    </div>
    ${qr && shown && html`<${Qr} qr=${qr} label=${t("sign-in.qr.label", { name })} />`}
    <p class="hint">${t("sign-in.anywhere")}</p>`;
}

export function OpenPage({ sign, name }) {
  return html`<${Step} n="1" title=${t("sign-in.open.title", { name })}>
    <${Open} sign=${sign} name=${name} />
  <//>`;
}

export function Device({ sign, name }) {
  return html`<${Step} n="1" title=${t("sign-in.open.title", { name })}>
      <${Open} sign=${sign} name=${name} />
    <//>
    <${Step} n="2" title=${t("sign-in.code.title")}>
      <div class="user-code"><code aria-label=${t("sign-in.code")}>${sign.user_code}</code><${CopyButton} text=${sign.user_code} kind="plain" small=${false} /></div>
      <p class="hint">${t("sign-in.code.warn")}</p>
    <//>
    <p class="waiting" role="status"><span class="spinner"></span>${t("sign-in.code.wait")}</p>`;
}

/** Where the answer comes back by hand: the address a browser ended on, or the code a vendor's page shows. */
export function Paste({ sign, near, onSent }) {
  const [text, setText] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const page = sign.way === "paste-page";
  const send = async (event) => {
    event.preventDefault();
    const given = text.trim();
    if (!given) return setError(t("sign-in.paste.missing"));
    setBusy(true);
    setError("");
    try {
      await post("/oauth-callback", { state: sign.state, provider: sign.provider, redirect_url: given });
      setText("");
      onSent();
    } catch (refused) {
      setError(`${refused.message}. ${t("sign-in.paste.again")}`.replace(/^./, (first) => first.toUpperCase()));
    }
    setBusy(false);
  };
  const alone = !page && sign.listening && near;
  return html`<${Step} n="2" title=${t(page ? "sign-in.paste.page.title" : alone ? "sign-in.back.title" : "sign-in.paste.title")}>
    <p>${t(page ? "sign-in.paste.page.text" : alone ? "sign-in.back.text" : sign.listening ? "sign-in.paste.text" : "sign-in.paste.taken", { port: String(sign.listening) })}</p>
    <form class="paste" onSubmit=${send}>
      <${Field} label=${t(page ? "sign-in.paste.page.label" : "sign-in.paste.label")} value=${text} error=${error} autocomplete="off" spellcheck=${false}
        placeholder=${page ? "code#state" : `http://localhost:${sign.listening ?? "…"}/…?code=…`} onInput=${(event) => {
          setText(event.currentTarget.value);
          setError("");
        }} />
      <${Button} type="submit" busy=${busy}>${t("sign-in.paste.send")}<//>
    </form>
    <p class="waiting" role="status"><span class="spinner"></span>${t("sign-in.wait")}</p>
  <//>`;
}

/** The vendor's account leaves something open: a project, or a name for the account. */
export function Ask({ sign, name, path, onAnswered }) {
  const { question } = sign;
  const options = question.options ?? [];
  // The daemon asks in English; these two it asks today, anything else is told as it comes.
  const text = options.length ? (sign.provider === "gemini" ? t("sign-in.ask.project") : question.text) : t("sign-in.ask.label", { name });
  const [choice, setChoice] = useState(question.default ?? options[0] ?? "");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const answer = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await post(`${path}/answer`, { choice });
      onAnswered();
    } catch (refused) {
      setError(refused.message);
    }
    setBusy(false);
  };
  return html`<form class="ask" onSubmit=${answer}>
    ${options.length
      ? html`<fieldset><legend>${text}</legend>
          ${options.map((option) => html`<label key=${option} class="choice"><input type="radio" name="choice" value=${option} checked=${choice === option}
            onChange=${() => setChoice(option)} /><span>${option === "ALL" ? t("sign-in.ask.all") : option}</span></label>`)}
        </fieldset>`
      : html`<${Field} label=${text} value=${choice} autofocus autocomplete="off" onInput=${(event) => setChoice(event.currentTarget.value)} />`}
    ${error && html`<${Note} tone="bad" title=${error} />`}
    <${Button} kind="primary" type="submit" busy=${busy}>${t("sign-in.answer")}<//>
  </form>`;
}
