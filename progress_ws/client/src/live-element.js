/** The element `<progress-live>`. */

import { find, isFinal, partsOf } from "./live-bar.js";
import { join } from "./live-hub.js";
import { wordsOf } from "./live-words.js";
import { sibling } from "./sibling.js";
import css from "./live.css";

const ROWS = 50; // of parts, and how many more there are is told
const TAGS = { bar: "progress", cancel: "button" }; // the other parts of a row are spans

let sheet; // No policy for styles is in the way of one that a script has made.
let chinese; // texts by language, once there is a reader of it

/** Paint it with the next frame; a hidden tab has none until it is shown. */
function repaint(element) {
  element._frame ||= requestAnimationFrame(() => {
    element._frame = 0;
    element.paint();
  });
}

/** Words of its language, which is Chinese or English, or that of the application's own texts. */
function speak(element) {
  const lang = element.lang || document.documentElement.lang;
  const isChinese = /^zh/.test(lang);
  if (isChinese && !chinese)
    sibling("progress-live-zh.js", () => import("./progress-live-zh.js")).then(
      (module) => repaint(element, (chinese = module.default)),
      () => {}, // no network, perhaps: a repaint some seconds later tries again
    );
  return wordsOf({ ...(isChinese && chinese?.(lang)), ...ProgressLive.texts, ...element.texts });
}

/** An element that is a part of this name. */
const make = (name, part, more) =>
  Object.assign(document.createElement(name), { className: part, part, ...more });

/** Set its text; what it says already is left alone, and so are selections in it. */
const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/** Show what is said of a bar, as text and nothing but text. */
function paintRow(row, state, { fraction, ...said }) {
  let place = 0;
  for (const name in said)
    write(
      row.children[place++] ?? row.appendChild(make(TAGS[name] ?? "span", name)),
      said[name] || "",
    );
  const progress = row.querySelector("progress");
  row.className = `row ${state}`;
  progress.ariaLabel = row.ariaLabel = said.label;
  progress.ariaValueText = said.bar;
  if (fraction >= 0) progress.value = fraction;
  else progress.removeAttribute("value");
}

// Where there is no page, as on a server that renders, the module can be imported all the same.
export class ProgressLive extends (globalThis.HTMLElement ?? Object) {
  static observedAttributes = ["bar", "sid", "label", "src", "lang", "key"];

  state = "waiting";

  cancel() {
    const hasLeft = !!this._bar?.key && this._client.cancel(this._bar.key, this._sid);
    this._wish = hasLeft ? "cancelling" : "nobody";
    repaint(this);
    return hasLeft;
  }

  disconnectedCallback() {
    this._leave?.();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.connectedCallback();
  }

  /** Be with the session that is wanted now, if any, and with no other. */
  connectedCallback() {
    const sid = this.getAttribute("sid");
    this._leave = this._leave?.();
    if (this._sid !== sid) Object.assign(this, { _bars: new Map(), _wish: "" });
    this._sid = sid;
    try {
      if (sid) this._leave = join(this, this.client, this.getAttribute("src"), sid);
    } finally {
      this._change(); // also where it is no sid or address: that is reported, and it waits
    }
  }

  /** What came from the server, for this session or for all; its bars know it already. */
  _hear(frame) {
    const { type, state, code, key, recovered } = frame;
    const news = recovered === false ? "gap" : type;
    if (/gap|error/.test(news)) this._tell(news, frame);
    // With a connection that is lost the wish may be lost, too.
    const isUnheard = state || (/nobody_listens|cancel_failed/.test(code) && key === this._bar?.key);
    if (isUnheard && this._wish) this._wish = "nobody";
    this._change();
  }

  /** Find out at once where it stands; what is seen of that follows with the next frame. */
  _change() {
    const { state: before, _bar: last } = this;
    const bar = find(this._bars, this.getAttribute("key") ?? this.getAttribute("bar"));
    const state = bar?.state ?? "waiting";
    const update = bar?.message;
    Object.assign(this, { _bar: bar, state, update });
    this.setAttribute("state", state);
    repaint(this);
    // A wish was for this bar, and for no other that is in its place now.
    if (state !== before || bar?.key !== last?.key || bar?.run !== last?.run) this._wish = "";
    if (state === before) return;
    this._tell("statechange", { sid: this._sid, key: bar?.key, state, update });
  }

  /** Errors do not bubble, as those of other elements do not. */
  _tell(type, detail, bubbles = type !== "error") {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles, composed: bubbles }));
  }

  /** Everything: its own bar, those of its parts, and what is read aloud. */
  paint() {
    const root = this.shadowRoot ?? this._build();
    const [row, list, rest, live] = root.children;
    const { state, _bar: bar = {}, _wish: wish } = this;
    const [say, number, describe] = speak(this);
    const said = {
      ...describe(bar, state, this.getAttribute("label")),
      cancel: bar.key && bar.message.cancellable && !isFinal(state) && say(wish || "cancel"),
    };
    const told = (said.cancel && wish) || "";
    if (!said.cancel && root.activeElement) row.focus({ preventScroll: true });
    paintRow(row, state, said);
    Object.assign(row.lastChild, {
      ariaLabel: `${say("cancel")} ${said.label}${told && `: ${said.cancel}`}`,
      // Not `disabled`: a button that is loses the focus, and whoever has it their place.
      ariaDisabled: wish === "cancelling",
      onclick: () => wish === "cancelling" || this.cancel(),
    });

    const parts = bar.key ? partsOf(this._bars, bar) : [];
    const n = parts.splice(ROWS).length;
    write(rest, n ? say("more", { n: number(n) }) : "");
    while (list.children.length > parts.length) list.lastChild.remove();
    parts.forEach((part, place) => {
      // A part of what has ended has ended, too.
      const stands = isFinal(part.state) || !isFinal(state) ? part.state : state;
      const item = list.children[place] ?? list.appendChild(make("li", "row"));
      paintRow(item, stands, describe(part, stands, part.key));
    });

    // Told politely: quarters, states, and what becomes of a wish.
    const news = state + Math.floor(said.fraction * 4) + told;
    if (news !== this._news) live.textContent = `${said.label}: ${told && `${said.cancel}, `}${said.bar}`;
    this._news = news;
    // In a second times have passed.
    if (this.isConnected && !isFinal(state))
      this._timer ||= setTimeout(() => {
        this._timer = 0;
        repaint(this);
      }, 1000);
  }

  _build() {
    const root = this.attachShadow({ mode: "open" });
    if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(css);
    root.adoptedStyleSheets = [sheet];
    root.append(
      make("div", "row", { role: "group", tabIndex: -1 }), // takes the focus from a button that goes
      make("ul", "children"),
      make("span", "more"),
      make("div", "live", { role: "status" }),
    );
    return root;
  }
}

try {
  customElements.define("progress-live", ProgressLive);
} catch {
  // There is no page; or another copy, of a bundle perhaps, was first.
}
