import { Repeats } from "./repeats.js";
import { Timer } from "./timer.js";
import { isWelcomed } from "./trial.js";

const COALESCE_MS = 50; // what is followed and unfollowed in a row is one change
const TRY_MS = 300_000; // until what worked worse is tried again, give or take a quarter ...
const TRY_WOKEN_MS = 30_000; // ... or after a wake, if the last trial is so long ago
const TRIAL_MS = 10_000;
const FOLLOWS_MAX = 256; // as the server has it for a socket

/** What both ways over plain HTTP share. See `websocket.js` for what a transport is. */
export class Http {
  host;
  repeats = new Repeats();
  isOpen = false;
  isClosed = false;
  pingMs = 25_000;

  _leaving = new AbortController(); // aborts what is asked for by this transport
  _settling = new Timer();
  _trying = new Timer();

  constructor(host) {
    this.host = host;
    host.triedAt ??= performance.now(); // of this page, however often its streams end
    this.begin().catch((error) => this.fail(error));
  }

  async begin() {
    const { host } = this;
    await undefined; // until the whole of this object is made
    if (this.isClosed) return;
    // Also where no sid is needed: that the node answers is what a welcome tells.
    const minted = host.sid ? {} : await this._mint();
    if (this.isClosed) return;
    this.own = host.sid ?? minted.sid;
    this._attach();
    this.open();
  }

  async _mint() {
    const { signal } = this._leaving;
    return (await this.ask("api/v1/sessions", { method: "POST", signal })).json();
  }

  opened(pingMs) {
    this.isOpen = true;
    this.pingMs = pingMs;
    this._tryLater();
  }

  settle() {
    const { sessions, attached } = this.host;
    const isSettled =
      [...sessions.keys()].every((sid) => attached.has(sid)) &&
      [...attached.keys()].every((sid) => sessions.has(sid));
    if (!isSettled) this._settling.arm(COALESCE_MS, () => this._settle());
  }

  cancel(sid, key) {
    this._cancel(sid, key);
    return true;
  }

  wake() {
    if (performance.now() > this.host.triedAt + TRY_WOKEN_MS) this._try();
  }

  close() {
    this.isClosed = true;
    this._leaving.abort();
    this._settling.stop();
    this._trying.stop();
  }

  /** Fetch what is beside the WebSocket's endpoint; its own query goes along. */
  async ask(path, options, query = "") {
    const { url } = this.host;
    const address = new URL(`../${path}`, url);
    address.protocol = url.protocol.replace("ws", "http");
    address.search = [url.search.slice(1), query].filter(Boolean).join("&");
    const response = await fetch(address, { cache: "no-store", ...options });
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  /** The end of this transport, unless it has been left already. */
  fail({ code, message, leastMs } = {}) {
    if (!this.isClosed) this.host.lose(code, message, leastMs);
  }

  /** Pass a frame on, unless it only says again what this transport has said. */
  tell(frame) {
    const { host, isOpen, isClosed } = this;
    const { sid, recovered } = frame;
    const type = frame.type === "welcome" && isOpen ? "followed" : frame.type;
    if (isClosed) return;
    if (type !== "followed" || host.attached.get(sid) === false) host.receive({ ...frame, type });
    else if (recovered === false) host.receive({ type: "gap", sid });
  }

  /** The sids to ask for, the client's own first, and "" where that is not wanted. */
  get sids() {
    const { host, own } = this;
    const further = [...host.sessions.keys()].filter((sid) => sid !== own);
    return [host.sid === undefined || host.sessions.has(own) ? own : "", ...further];
  }

  _settle() {
    const { sessions, attached } = this.host;
    for (const sid of attached.keys()) {
      if (sessions.has(sid)) continue;
      attached.delete(sid);
      this.host.receive({ type: "unfollowed", sid });
    }
    this._attach();
    if (!this.isClosed) this.open();
  }

  _attach() {
    const { sessions, attached } = this.host;
    for (const sid of sessions.keys()) {
      if (attached.has(sid)) continue;
      const isTooMany = attached.size - attached.has(this.own) >= FOLLOWS_MAX;
      attached.set(sid, false);
      if (!isTooMany) continue;
      const detail = `at most ${FOLLOWS_MAX} sessions are followed`;
      this.host.receive({ type: "error", code: "too_many_follows", sid, detail });
    }
  }

  async _cancel(sid, key) {
    const error = { type: "error", sid, key };
    try {
      await this.ask(`api/v1/sessions/${sid}/cancel`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ key }),
      });
    } catch ({ status, message: detail }) {
      const code = status === 404 ? "nobody_listens" : "cancel_failed";
      if (!this.isClosed) this.host.receive({ ...error, code, detail });
    }
  }

  _tryLater() {
    const { triedAt, random } = this.host;
    const atMs = triedAt + TRY_MS * (0.75 + random() / 2);
    this._trying.arm(Math.max(0, atMs - performance.now()), () => this._try());
  }

  /** See whether what worked worse before works now, while this goes on. */
  async _try() {
    const { host } = this;
    host.triedAt = performance.now();
    this._tryLater();
    for (const [at, kind] of host.kinds.slice(0, host.at).entries()) {
      const Transport = kind === "websocket" ? host.WebSocketTransport : this.kinds[kind];
      const isBetter = await isWelcomed(Transport, host, TRIAL_MS);
      if (this.isClosed) return;
      if (isBetter) return host.prefer(at);
    }
  }
}

/** What an answer that is none means: what a close code does, in the fields of an error. */
async function refusalOf(response) {
  const { status, headers } = response;
  const isOurs = headers.get("Content-Type")?.includes("problem+json"); // else it is a proxy's
  const detail = isOurs ? (await response.json()).detail : "";
  return {
    status,
    message: `${status} ${detail}`,
    code: isOurs && (status === 400 || status === 401 || status === 403) ? 4000 + status : undefined,
    leastMs: Math.min(headers.get("Retry-After") || 0, 300) * 1000 || undefined,
  };
}
