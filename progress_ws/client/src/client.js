import { Connection } from "./connection.js";
import { framesOf } from "./frames.js";

/** See `progress-ws.d.ts` for what each of these means. */
export class ProgressClient extends EventTarget {
  _connection;
  ready;

  constructor({
    url,
    sid,
    storage,
    storageKey = "progress-ws.sid",
    WebSocket = globalThis.WebSocket,
    random = Math.random,
    transports = ["websocket", "sse", "polling"],
    signal,
  } = {}) {
    super();
    const emit = (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail }));
    const options = { url, sid, storage, storageKey, WebSocket, random, transports, signal };
    const connection = (this._connection = new Connection(emit, options));
    this.ready = connection.ready;
    if (signal?.aborted) this.close();
    else connection.connect();
  }

  get sid() {
    return this._connection.sid;
  }

  get state() {
    return this._connection.state;
  }

  get transport() {
    return this._connection.kinds[this._connection.at];
  }

  follow(sid) {
    this._connection.follow(sid);
  }

  unfollow(sid) {
    this._connection.unfollow(sid);
  }

  cancel(key, sid = this.sid) {
    return this._connection.cancel(sid, key);
  }

  close() {
    this._connection.end();
  }

  [Symbol.asyncIterator]() {
    return framesOf(this, () => this._connection.refusal);
  }
}
