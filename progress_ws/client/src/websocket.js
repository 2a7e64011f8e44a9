import { Timer } from "./timer.js";

const STEADY_MS = 5_000; // until an open connection is first asked whether it lives
const ANSWER_MS = 5_000; // for the server to answer a ping ...
const HEARD_MS = 2_000; // ... and longer, as long as anything came within this time

// The server takes 100 frames in 10 s. Some are left for pings, and for a network that bunches.
const PACED_FRAMES = 80;
const PACED_MS = 11_000;
const PING_PACE_MS = 1_000;

const IDS_IN_URL = 64;
const IDS_IN_FRAME = 180; // of the longest kind: the server takes 16 KiB

/**
 * One WebSocket, from its making to its end.
 *
 * What a transport is: made with its connection (the host), it calls the host's `receive` for each
 * frame, `lose` when it has ended, and `steady` when it has proved itself. The host calls `opened`,
 * `settle`, `cancel`, `wake` and, once and last, `close`.
 */
export class WebSocketTransport {
  _host;
  _socket;
  _sentAt = []; // when the last frames but pings left
  _pingedAt = -PING_PACE_MS;
  _isAsked = false; // a ping has left, and no pong has come
  _heardAt;
  _pingMs;
  _timer = new Timer(); // the next ping, or its answer's deadline
  _pacer = new Timer();

  /** @throws whatever the WebSocket's constructor does. */
  constructor(host) {
    this._host = host;
    const socket = new host.WebSocket(this._address());
    socket.onmessage = ({ data }) => this._hear(data);
    socket.onclose = ({ code, reason }) => host.lose(code, reason);
    socket.onerror = () => {}; // a close follows
    this._socket = socket;
  }

  opened(pingMs) {
    this._pingMs = pingMs;
    this._timer.arm(STEADY_MS, () => this.wake());
  }

  /** Is anybody there? Scripts cannot see the pings of the protocol. */
  wake() {
    const now = performance.now();
    if (this._isAsked || now < this._pingedAt + PING_PACE_MS) return;
    this._isAsked = true;
    this._pingedAt = now;
    this._send({ type: "ping" });
    this._expect(ANSWER_MS);
  }

  /** Other frames are no answer: to a page that was frozen come those from before its end first. */
  _expect(withinMs) {
    this._timer.arm(withinMs, () => {
      if (this._isAsked) {
        // But while they come the pong may be behind them.
        if (performance.now() < this._heardAt + HEARD_MS) return this._expect(HEARD_MS);
        return this._host.lose();
      }
      this._host.steady(); // only now has this connection proved itself
      this._timer.arm(this._pingMs, () => this.wake());
    });
  }

  /** Follow what is wanted and not attached, unfollow what is attached and not wanted. */
  settle() {
    const { sessions, attached } = this._host;
    this._pacer.stop();
    for (const sid of attached.keys()) {
      if (sessions.has(sid)) continue;
      if (!this._sendPaced({ type: "unfollow", sid })) return;
      attached.delete(sid);
    }
    for (const sid of sessions.keys()) {
      if (attached.has(sid)) continue;
      const after = sessions.after(sid, IDS_IN_FRAME);
      if (!this._sendPaced({ type: "follow", sid, after })) return;
      attached.set(sid, false);
    }
  }

  cancel(sid, key) {
    const canLeave = !this._paceMs;
    if (canLeave) this._sendCounted({ type: "cancel", sid, key });
    return canLeave;
  }

  close() {
    const socket = this._socket;
    this._timer.stop();
    this._pacer.stop();
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  _address() {
    const { url, sid, sessions } = this._host;
    const address = new URL(url);
    const query = url.search ? [url.search.slice(1)] : [];
    if (sid !== undefined) {
      const after = sessions.after(sid, IDS_IN_URL);
      query.push(`sid=${sessions.has(sid) ? sid : ""}`);
      if (after) query.push(`after=${after}`);
    }
    address.search = query.join("&");
    return address.href;
  }

  _hear(data) {
    this._heardAt = performance.now();
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame?.type === "pong") this._isAsked = false;
    this._host.receive(frame);
  }

  /** Send, or where that would be too much for now, settle later. */
  _sendPaced(frame) {
    const waitMs = this._paceMs;
    if (waitMs) this._pacer.arm(waitMs, () => this.settle());
    else this._sendCounted(frame);
    return !waitMs;
  }

  /** How long to wait before another frame may leave. */
  get _paceMs() {
    if (this._sentAt.length < PACED_FRAMES) return 0;
    return Math.max(0, this._sentAt[0] + PACED_MS - performance.now());
  }

  _sendCounted(frame) {
    this._sentAt = [...this._sentAt, performance.now()].slice(-PACED_FRAMES);
    this._send(frame);
  }

  _send(frame) {
    this._socket.send(JSON.stringify(frame));
  }
}
