import { Http } from "./http.js";
import { Timer } from "./timer.js";

const PACE_MS = 1_000; // from round to round ...
const PACE_PER_SID_MS = 100; // ... or more, where there are many to ask for
const HIDDEN = 5; // times slower while nobody looks
const LANES = 4; // requests at once: a browser has six to a host, and the page needs some
const ANSWER_MS = 10_000;
const IDS_IN_URL = 64;

/** Asking again and again: what gets through where nothing else does. */
export class Polling extends Http {
  kinds = {};

  _round = new Timer();
  _silence = new Timer();
  _isAsking = false;
  _isDue = false;
  _unsure = new WeakSet(); // sessions of which the server has said that something may be missing
  _stalled = new WeakMap(); // session -> keys that are silent, as far as it has been told

  /** Ask for all that is wanted, now or right after what is being asked for. */
  async open() {
    this._isDue = true;
    this._round.stop();
    if (this._isAsking) return;
    this._isAsking = true;
    try {
      while (this._isDue && !this.isClosed) await this._ask();
    } catch (error) {
      this.fail(error);
    }
    this._isAsking = false;
  }

  wake() {
    super.wake();
    if (!this.isClosed) this.open();
  }

  close() {
    super.close();
    this._round.stop();
    this._silence.stop();
  }

  async _ask() {
    const wasOpen = this.isOpen;
    this._isDue = false;
    // The first alone: its answer is the welcome.
    let [own, ...further] = this.sids;
    if (own) await this._poll(own);
    else if (!wasOpen) this._welcome();
    const lane = async () => {
      while (further.length && !this.isClosed) await this._poll(further.shift());
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    this._silence.stop();
    if (this.isClosed) return;
    if (wasOpen) this.host.steady();
    const pace = Math.max(PACE_MS, PACE_PER_SID_MS * this.sids.length);
    const slower = globalThis.document?.hidden ? HIDDEN : 1;
    this._round.arm(pace * slower * (0.75 + this.host.random() / 2), () => this.open());
  }

  async _poll(sid) {
    const { sessions } = this.host;
    const session = sessions.get(sid);
    this._silence.arm(ANSWER_MS, () => this.fail());
    const after = sessions.after(sid, IDS_IN_URL);
    const path = `api/v1/sessions/${sid}/messages`;
    const { signal } = this._leaving;
    const response = await this.ask(path, { signal }, after && `after=${after}`);
    const answer = await response.json();
    // Meanwhile it may have been left, or left and taken up anew.
    if (!this.isClosed && sessions.get(sid) === session) this._hear(sid, answer);
  }

  _hear(sid, { recovered, messages }) {
    const { sessions, attached } = this.host;
    const wasAttached = attached.get(sid);
    if (!this.isOpen) this._welcome(sid, recovered);
    else if (!wasAttached) this.tell({ type: "followed", sid, recovered });
    const session = sessions.get(sid); // the welcome may have brought it
    if (this.isClosed || !session) return;
    // Once said it is said; and with no news there is nothing before which a gap could be.
    const isUnsure = recovered === false && messages.length > 0;
    if (isUnsure && wasAttached && !this._unsure.has(session)) this.tell({ type: "gap", sid });
    if (isUnsure || (recovered === false && !wasAttached)) this._unsure.add(session);
    else if (recovered) this._unsure.delete(session);
    this._tell(session, messages);
  }

  _tell(session, frames) {
    const isNew = this.repeats.begin(session);
    const told = this._stalled.get(session) ?? new Set();
    const stalled = new Set();
    for (const frame of frames) {
      const { type, id, key } = frame;
      if (type === "message" && id === undefined && !isNew(frame)) continue;
      if (type === "message") told.delete(key);
      if (type === "stalled" && stalled.add(key) && told.has(key)) continue;
      this.tell(frame);
    }
    this._stalled.set(session, stalled);
  }

  _welcome(sid, recovered) {
    this.tell({ type: "welcome", sid, protocol: 1, ping_s: PACE_MS / 1000, recovered });
  }
}
