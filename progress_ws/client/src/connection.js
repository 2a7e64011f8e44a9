import { Keeping } from "./keeping.js";
import { Sessions } from "./sessions.js";
import { sibling } from "./sibling.js";
import { isSid, mustBeSid } from "./sids.js";
import { Timer } from "./timer.js";
import { WebSocketTransport } from "./websocket.js";

const BACKOFF_MS = 500; // doubled with every attempt ...
const BACKOFF_MAX_MS = 10_000; // ... up to this; the wait is a random part of it
const WELCOME_MS = 4_000; // for a first attempt to be welcomed; it is doubled, too ...
const WELCOME_MAX_MS = 10_000; // ... up to this

// Close codes with a wait of their own, in ms: at least, and spread over at least.
const WAITS = { 1012: [0, 2_000], 1013: [5_000, 15_000], 4290: [60_000, 10_000] };

const KINDS = ["websocket", "sse", "polling"];
const KEPT_KIND = ".transport";
const REFUSED = /^(bad_sid|bad_after|too_many_follows)$/; // what a follow can be answered with
const PAGE_EVENTS = ["visibilitychange", "online", "offline", "pageshow", "pagehide"];

// A page of another origin than the node's finds it where it has the client from. After a bundler
// the module has another name; then the page's own origin is it.
const ROOT = /^(https?:.*\/)client\/(progress-ws|src)/.exec(import.meta.url)?.[1] ?? "/";

/**
 * What the client is attached to, and by what: the one loop that always comes back.
 *
 * What has no "_" in front is for the transports, some of which live in another module.
 */
export class Connection {
  url;
  sid; // undefined until it is known, "" when none is wanted
  sessions = new Sessions();
  attached = new Map(); // on this transport: sid -> whether the server has confirmed it
  random;
  WebSocket;
  WebSocketTransport = WebSocketTransport;
  kinds;
  at = 0; // which of them is in use: the one that worked last

  state;
  refusal; // what the server has refused us with for good
  ready;

  _emit;
  _keeping;
  _isKept = false; // the sid comes from storage, and no server has accepted it yet
  _transport;
  _timer = new Timer(); // by state: the deadline of the welcome, or the wait's end
  _attempts = 0;
  _mustWait = false; // the server has asked for this wait
  _hasFailed = false; // the last attempt ended without a welcome, and without a reason
  _isReachable; // whether plain HTTP to the node works: a promise, from the last attempt's beginning
  _asking; // aborts the question
  _signal;
  _resolve;
  _reject;

  constructor(emit, { url, sid, storage, storageKey, WebSocket, random, transports, signal }) {
    if (sid) mustBeSid(sid);
    if (!transports.length || !transports.every((kind) => KINDS.includes(kind))) {
      throw new TypeError(`transports are some of ${KINDS}`);
    }
    this.url = new URL(url ?? `${ROOT}websocket/progress`, globalThis.location?.href);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.url.hash = "";
    this.random = random;
    this.WebSocket = WebSocket;
    this.kinds = transports;
    this._emit = emit;
    this._keeping = new Keeping(storage, storageKey);
    this.sid = sid ?? this._recall();
    this.at = Math.max(0, transports.indexOf(this._keeping.get(KEPT_KIND)));
    if (this.sid) this.sessions.set(this.sid, new Map());
    this.ready = new Promise((resolve, reject) => {
      this._resolve = resolve;
      this._reject = reject;
    });
    this.ready.catch(() => {}); // nobody has to wait for it
    this._signal = signal;
    for (const type of PAGE_EVENTS) globalThis.addEventListener?.(type, this);
    signal?.addEventListener("abort", this);
  }

  // What the application wants

  follow(sid) {
    mustBeSid(sid);
    if (this.sessions.has(sid)) return;
    this.sessions.set(sid, new Map());
    this.attached.delete(sid); // an unfollow that has not left yet: this follow replaces it
    this._settle();
  }

  unfollow(sid) {
    this.sessions.delete(sid);
    this._settle();
  }

  cancel(sid, key) {
    const isAttached = this.state === "open" && !!this.attached.get(sid);
    return isAttached && this._transport.cancel(sid, key);
  }

  /** Without a code it is the application that wants it. */
  end(code, reason) {
    if (this.state === "closed") return;
    this._drop();
    this._askNoMore();
    for (const type of PAGE_EVENTS) globalThis.removeEventListener?.(type, this);
    this._signal?.removeEventListener("abort", this);
    const error = new Error(code ? `refused: ${code} ${reason}` : "closed");
    if (code) this.refusal = error;
    this._reject(error);
    this._setState("closed", { code, reason });
    if (code) this._emit("error", { type: "error", code, detail: reason });
  }

  // The loop

  /** Make an attempt now, whatever there was before. */
  connect() {
    this._drop();
    const kind = this.kinds[this.at];
    const welcomeMs = Math.min(WELCOME_MS * 2 ** this._attempts, WELCOME_MAX_MS);
    this._askNoMore();
    // Both at once: a node that comes up just now would else look as if it took only the one.
    if (this._hasFailed && this.kinds[1]) this._isReachable = this._ask();
    this._timer.arm(welcomeMs, () => this.lose());
    this._setState("connecting");
    if (this.state !== "connecting") return;
    if (kind === "websocket") this._use(WebSocketTransport);
    else this._load(kind);
  }

  async _load(kind) {
    const attempt = (this._transport = { close() {} });
    let module;
    try {
      module = await sibling("progress-http.js", () => import("./progress-http.js"));
    } catch (error) {
      if (this._transport === attempt) this.lose(undefined, String(error));
      return;
    }
    if (this._transport === attempt) this._use(module[kind]);
  }

  _use(Transport) {
    try {
      this._transport = new Transport(this);
    } catch (error) {
      this.lose(undefined, String(error));
    }
  }

  /**
   * Whether plain HTTP to the node works, and the node takes anybody. Minting a sid costs it nothing.
   */
  async _ask() {
    const url = new URL("../api/v1/sessions" + this.url.search, this.url);
    url.protocol = url.protocol.replace("ws", "http");
    this._asking = new AbortController();
    try {
      const response = await fetch(url, { method: "POST", signal: this._asking.signal });
      return response.ok && !(await response.json()).draining;
    } catch {
      return false;
    }
  }

  _askNoMore() {
    this._asking?.abort();
    this._isReachable = undefined;
  }

  steady() {
    this._attempts = 0;
  }

  /**
   * The transport has ended.
   *
   * @param code a WebSocket's close code, or nothing
   * @param leastMs for how long the server wants us to stay away, where the code does not say
   */
  lose(code, reason, leastMs = 0) {
    this._hasFailed = this.state === "connecting" && !(code > 1006) && !leastMs;
    this._drop();
    if (code === 4400 && this._isKept) this._forget();
    else if (code >= 4400 && code < 4500) return this.end(code, reason);
    const [fromMs, spreadMs] = WAITS[code] ?? [leastMs, leastMs];
    const backoffMs = Math.min(BACKOFF_MS * 2 ** this._attempts++, BACKOFF_MAX_MS);
    const waitMs = fromMs + this.random() * Math.max(spreadMs, backoffMs);
    this._mustWait = fromMs > 0;
    this._timer.arm(waitMs, () => this.connect());
    this._setState("waiting", { code, reason, wait_s: waitMs / 1000 });
    if (this._hasFailed) this._isReachable?.then((isTrue) => isTrue && this._next());
  }

  /** The node is there, and twice the transport has not reached it: something is in its way. */
  _next() {
    if (this.state !== "waiting") return;
    this._hasFailed = false;
    this.prefer((this.at + 1) % this.kinds.length);
  }

  prefer(at) {
    this.at = at;
    this._attempts = 0;
    this.connect();
  }

  /** Leave the transport behind, alive or dead. */
  _drop() {
    this._timer.stop();
    const transport = this._transport;
    this._transport = undefined;
    transport?.close();
    this.attached.clear();
  }

  /** What happens to the page, and the application's wish to end. */
  handleEvent({ type }) {
    if (type === "abort") this.end();
    else if (type === "pagehide" || type === "offline") {
      // With an open socket some browsers would not keep the page for a return.
      this._askNoMore();
      if (this._transport) this.lose();
      this._hasFailed = false;
    } else if (type !== "visibilitychange" || !globalThis.document?.hidden) {
      if (this.state === "open") this._transport.wake();
      // An attempt may be as good as a wait: Firefox holds one back for up to a minute after failures.
      else if (this._attempts && !this._mustWait) {
        this._attempts = 0;
        this.connect();
      }
    }
  }

  // Frames

  receive(frame) {
    const { type, sid, code } = frame ?? {};
    switch (type) {
      case "welcome":
        if (this.state === "connecting") this._welcome(frame);
        return;
      case "message":
        // Else it is a straggler from before an unfollow.
        if (!this.attached.get(sid) || !this.sessions.has(sid)) return;
        if (!this.sessions.isNew(frame)) return;
        break;
      case "followed":
        if (this.attached.has(sid)) this.attached.set(sid, true);
        break;
      case "error":
        // Asking again would not help.
        if (REFUSED.test(code) && this.attached.delete(sid)) this.sessions.delete(sid);
        break;
      case "unfollowed":
      case "gap":
      case "stalled":
        break;
      default:
        return; // a pong, or what a later version says
    }
    this._emit(type, frame);
  }

  _welcome(frame) {
    const { sid, ping_s } = frame;
    if (this.sid === undefined) {
      if (!isSid(sid)) return; // no welcome at all
      this.sid = sid;
      this.sessions.set(sid, new Map());
      this._keeping.set(sid);
    }
    if (sid === this.sid) this.attached.set(sid, true);
    this._isKept = this._hasFailed = false;
    this._keeping.set(this.at && this.kinds[this.at], KEPT_KIND);
    this._timer.stop();
    this._transport.opened(Math.min(Math.max(ping_s * 1000 || 25_000, 5_000), 300_000));
    this._resolve(this.sid);
    this._setState("open");
    this._emit("welcome", frame);
    this._settle();
  }

  _settle() {
    if (this.state === "open") this._transport.settle();
  }

  _setState(state, detail) {
    this.state = state;
    this._emit("state", { state, ...detail });
  }

  _recall() {
    const sid = this._keeping.get();
    this._isKept = isSid(sid);
    return this._isKept ? sid : undefined;
  }

  _forget() {
    this._keeping.set();
    this.sessions.delete(this.sid);
    this.sid = undefined;
    this._isKept = false;
  }
}
