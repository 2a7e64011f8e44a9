/**
 * The progress of server-side jobs, over one WebSocket that always comes back.
 *
 *   import { ProgressClient } from "/client/progress-ws.js";
 *
 *   const progress = new ProgressClient();       // connects; a reload keeps its sid
 *   progress.addEventListener("message", ({ detail }) => {
 *     bar.value = detail.message.current;        // detail: {sid, message, id, ts, key, final, ...}
 *   });
 *   progress.addEventListener("state", ({ detail }) => {
 *     badge.textContent = detail.state;          // connecting, open, waiting or closed
 *   });
 *   const body = JSON.stringify({ sid: await progress.ready });
 *   await fetch("/reports", { method: "POST", body });
 *   progress.follow(sidOfAnotherJob);            // many bars, one socket
 *   progress.cancel("report");                   // ask whoever works at this key to stop
 *
 * Each frame of the server is an event of its type (`welcome`, `message`, `followed`, `unfollowed`,
 * `gap`, `stalled`, `error`) with the frame as `detail`. An `error` also tells that the server has
 * refused us for good: its `code` is then the close code, and the state is closed.
 */

const BACKOFF_MS = 500; // doubled with every attempt ...
const BACKOFF_MAX_MS = 20_000; // ... up to this; the wait is a random part of it
const WELCOME_MS = 10_000; // for a connection to be welcomed
const STEADY_MS = 5_000; // until an open connection is first asked whether it lives
const ANSWER_MS = 5_000; // for the server to say anything after a ping

// Close codes with a wait of their own, in ms: at least, and spread over at least.
const WAITS = { 1012: [0, 2_000], 1013: [5_000, 15_000], 4290: [60_000, 10_000] };

// The server takes 100 frames in 10 s. Some are left for pings, and for a network that bunches.
const PACED_FRAMES = 80;
const PACED_MS = 11_000;

const PUBLISHERS = 1024; // remembered per sid
const IDS_IN_URL = 64;
const IDS_IN_FRAME = 180; // of the longest kind: the server takes 16 KiB

const SID = /^[\w.~-]{16,128}$/;
const ID = /^([\w.~-]{1,64})-([1-9]\d{0,15})$/; // greedy: split at the last "-"
const REFUSED = /^(bad_sid|bad_after|too_many_follows)$/; // what a follow can be answered with

const isSid = (value) => typeof value === "string" && SID.test(value);

const mustBeSid = (value) => {
  // The text never shows the value: a sid is private.
  if (!isSid(value)) throw new TypeError("a sid is 16 to 128 characters of A-Z a-z 0-9 . _ ~ -");
};

export class ProgressClient extends EventTarget {
  #url;
  #storage;
  #storageKey;
  #WebSocket;
  #random;

  #state;
  #sid; // undefined until it is known, "" when none is wanted
  #isStored = false; // the sid comes from storage, and no server has accepted it yet
  #sessions = new Map(); // wanted: sid -> (publisher -> last seq seen, the freshest at the end)

  #socket;
  #attached = new Map(); // on this socket: sid -> whether the server has confirmed it
  #sentAt = []; // when the last frames but pings left on this socket
  #isSilent = false; // nothing heard since the last ping
  #pingMs;

  #timer; // by state: the deadline of the welcome, the next ping or its deadline, the wait's end
  #pacer;
  #attempts = 0;
  #mustWait = false; // the server has asked for this wait
  #listening = new AbortController();
  #resolve;
  #reject;

  constructor({
    url = "/websocket/progress",
    sid,
    storage,
    storageKey = "progress-ws.sid",
    WebSocket = globalThis.WebSocket,
    random = Math.random,
  } = {}) {
    super();
    if (sid) mustBeSid(sid);
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#url.hash = "";
    this.#storage = storage;
    this.#storageKey = storageKey;
    this.#WebSocket = WebSocket;
    this.#random = random;
    this.#sid = sid ?? this.#recall();
    if (this.#sid) this.#sessions.set(this.#sid, new Map());
    this.ready = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.ready.catch(() => {}); // nobody has to wait for it
    this.#connect();
    for (const type of ["visibilitychange", "online", "pageshow", "pagehide"]) {
      const { signal } = this.#listening;
      globalThis.addEventListener?.(type, (event) => this.#notice(event), { signal });
    }
  }

  get sid() {
    return this.#sid;
  }

  get state() {
    return this.#state;
  }

  follow(sid) {
    mustBeSid(sid);
    if (this.#sessions.has(sid)) return;
    this.#sessions.set(sid, new Map());
    this.#attached.delete(sid); // an unfollow that has not left yet: this follow replaces it
    this.#settle();
  }

  unfollow(sid) {
    this.#sessions.delete(sid);
    this.#settle();
  }

  cancel(key, sid = this.#sid) {
    const canLeave = this.#state === "open" && this.#attached.get(sid) && !this.#paceMs;
    if (canLeave) this.#sendCounted({ type: "cancel", sid, key });
    return Boolean(canLeave);
  }

  close() {
    this.#end();
  }

  // The connection

  #connect() {
    const socket = new this.#WebSocket(this.#address());
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#lose(code, reason);
    socket.onerror = () => {}; // a close follows
    this.#socket = socket;
    this.#arm(WELCOME_MS, () => this.#lose());
    this.#setState("connecting");
  }

  #address() {
    const url = new URL(this.#url);
    const query = url.search ? [url.search.slice(1)] : [];
    if (this.#sid !== undefined) {
      const after = this.#after(this.#sid, IDS_IN_URL);
      query.push(`sid=${this.#sessions.has(this.#sid) ? this.#sid : ""}`);
      if (after) query.push(`after=${after}`);
    }
    url.search = query.join("&");
    return url.href;
  }

  #welcome(frame) {
    const { sid, ping_s } = frame;
    if (this.#sid === undefined) {
      if (!isSid(sid)) return; // no welcome at all
      this.#sid = sid;
      this.#sessions.set(sid, new Map());
      this.#withStorage((storage) => storage.setItem(this.#storageKey, sid));
    }
    if (sid === this.#sid) this.#attached.set(sid, true);
    this.#isStored = false;
    this.#pingMs = Math.min(Math.max(ping_s * 1000 || 25_000, 5_000), 300_000);
    this.#arm(STEADY_MS, () => this.#ping());
    this.#resolve(this.#sid);
    this.#setState("open");
    this.#emit("welcome", frame);
    this.#settle();
  }

  /** Is anybody there? Scripts cannot see the pings of the protocol. */
  #ping() {
    if (this.#isSilent) return; // asked already
    this.#isSilent = true;
    this.#send({ type: "ping" });
    this.#arm(ANSWER_MS, () => {
      if (this.#isSilent) return this.#lose();
      this.#attempts = 0; // only now has this connection proved itself
      this.#arm(this.#pingMs, () => this.#ping());
    });
  }

  #lose(code, reason) {
    this.#drop();
    if (code === 4400 && this.#isStored) this.#forget();
    else if (code >= 4400 && code < 4500) return this.#end(code, reason);
    const [leastMs, spreadMs] = WAITS[code] ?? [0, 0];
    const backoffMs = Math.min(BACKOFF_MS * 2 ** this.#attempts++, BACKOFF_MAX_MS);
    const waitMs = leastMs + this.#random() * Math.max(spreadMs, backoffMs);
    this.#mustWait = leastMs > 0;
    this.#arm(waitMs, () => this.#connect());
    this.#setState("waiting", { code, reason, wait_s: waitMs / 1000 });
  }

  #end(code, reason) {
    if (this.#state === "closed") return;
    this.#drop();
    this.#listening.abort();
    this.#reject(new Error(code ? `refused: ${code} ${reason}` : "closed"));
    this.#setState("closed", { code, reason });
    if (code) this.#emit("error", { type: "error", code, detail: reason });
  }

  /** Leave the socket behind, alive or dead, and every timer. */
  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#pacer);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.#attached.clear();
    this.#sentAt = [];
  }

  #notice({ type }) {
    if (type === "pagehide") {
      // With an open socket some browsers would not keep the page for a return.
      if (this.#socket) this.#lose();
    } else if (type !== "visibilitychange" || !globalThis.document?.hidden) {
      if (this.#state === "open") this.#ping();
      if (this.#state === "waiting" && !this.#mustWait) this.#connect();
    }
  }

  // Frames

  #receive(data) {
    this.#isSilent = false;
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    const { type, sid, code } = frame ?? {};
    switch (type) {
      case "welcome":
        if (this.#state === "connecting") this.#welcome(frame);
        return;
      case "message":
        if (!this.#isNew(frame)) return;
        break;
      case "followed":
        if (this.#attached.has(sid)) this.#attached.set(sid, true);
        break;
      case "error":
        // Asking again would not help.
        if (REFUSED.test(code) && this.#attached.delete(sid)) this.#sessions.delete(sid);
        break;
      case "unfollowed":
      case "gap":
      case "stalled":
        break;
      default:
        return; // a pong, or what a later version says
    }
    this.#emit(type, frame);
  }

  #isNew({ sid, id }) {
    const positions = this.#attached.get(sid) && this.#sessions.get(sid);
    if (!positions) return false; // a straggler from before an unfollow
    const [, publisher, digits] = ID.exec(id) ?? [];
    const seq = Number(digits);
    if (!Number.isSafeInteger(seq)) return true; // no id: covered by no position
    if (seq <= positions.get(publisher)) return false;
    positions.delete(publisher);
    positions.set(publisher, seq);
    if (positions.size > PUBLISHERS) positions.delete(positions.keys().next().value);
    return true;
  }

  /** The ids to resume a session after, if any: the freshest, where there are too many. */
  #after(sid, limit) {
    const positions = [...(this.#sessions.get(sid) ?? [])].slice(-limit);
    const ids = positions.map(([publisher, seq]) => `${publisher}-${seq}`);
    return ids.length ? ids : undefined;
  }

  /** Follow what is wanted and not attached, unfollow what is attached and not wanted. */
  #settle() {
    clearTimeout(this.#pacer);
    if (this.#state !== "open") return;
    for (const sid of this.#attached.keys()) {
      if (this.#sessions.has(sid)) continue;
      if (!this.#sendPaced({ type: "unfollow", sid })) return;
      this.#attached.delete(sid);
    }
    for (const sid of this.#sessions.keys()) {
      if (this.#attached.has(sid)) continue;
      if (!this.#sendPaced({ type: "follow", sid, after: this.#after(sid, IDS_IN_FRAME) })) return;
      this.#attached.set(sid, false);
    }
  }

  /** Send, or where that would be too much for now, settle later. */
  #sendPaced(frame) {
    const waitMs = this.#paceMs;
    if (waitMs) this.#pacer = setTimeout(() => this.#settle(), waitMs);
    else this.#sendCounted(frame);
    return !waitMs;
  }

  /** How long to wait before another frame may leave. */
  get #paceMs() {
    if (this.#sentAt.length < PACED_FRAMES) return 0;
    return Math.max(0, this.#sentAt[0] + PACED_MS - performance.now());
  }

  #sendCounted(frame) {
    this.#sentAt = [...this.#sentAt, performance.now()].slice(-PACED_FRAMES);
    this.#send(frame);
  }

  #send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  // State, timer, storage

  #setState(state, detail) {
    this.#state = state;
    this.#emit("state", { state, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #arm(ms, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, ms);
  }

  #recall() {
    const sid = this.#withStorage((storage) => storage.getItem(this.#storageKey));
    this.#isStored = isSid(sid);
    return this.#isStored ? sid : undefined;
  }

  #forget() {
    this.#withStorage((storage) => storage.removeItem(this.#storageKey));
    this.#sessions.delete(this.#sid);
    this.#sid = undefined;
    this.#isStored = false;
  }

  #withStorage(action) {
    try {
      return action(this.#storage === undefined ? globalThis.sessionStorage : this.#storage);
    } catch {
      // Missing, blocked or full. Then a reload starts anew, and that is all.
    }
  }
}
