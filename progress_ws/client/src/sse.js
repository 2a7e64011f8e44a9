import { Http } from "./http.js";
import { Polling } from "./polling.js";
import { Timer } from "./timer.js";

// A proxy takes request lines of about 8 KiB.
const QUERY_CHARS = 6_000;
const AFTER_CHARS = 1_500; // of them for one session's position
const IDS_IN_URL = 64;

const FIRST_MS = 10_000; // until the first line of a stream
const WOKEN_MS = 5_000; // the same, where we doubt that the node can still be reached
const LATE_MS = 5_000; // beyond the server's own pace, before silence means a dead connection
const SILENT_MS = 10_000; // what makes a wake doubt
const STEADY_MS = 10_000;

/**
 * Server-sent events, read by `fetch`: unlike EventSource it shows why the server has refused, and
 * it leaves coming back to the one loop that does it.
 */
export class EventStream extends Http {
  kinds = { polling: Polling };

  _streams; // aborts what is open now
  _heardAt;
  _silence = [];
  _steady = new Timer();

  /** Open the streams for what is wanted now, in place of those that are open. */
  open(firstMs = FIRST_MS) {
    this._leave();
    this._streams = new AbortController();
    this._heardAt = performance.now();
    const [first, ...further] = this._queries();
    this._read(first, firstMs, () => {
      // Only behind the welcome, so that it is the first that the application hears.
      for (const query of further.splice(0)) this._read(query, FIRST_MS);
    });
  }

  opened(pingMs) {
    super.opened(pingMs);
    this._steady.arm(STEADY_MS, () => this.host.steady());
  }

  wake() {
    super.wake();
    if (performance.now() - this._heardAt > SILENT_MS) this.open(WOKEN_MS);
  }

  close() {
    super.close();
    this._steady.stop();
    this._leave();
  }

  _leave() {
    this._streams?.abort();
    for (const timer of this._silence.splice(0)) timer.stop();
  }

  async _read(query, firstMs, onWelcome) {
    const { signal } = this._streams;
    const silence = new Timer();
    const fail = (error) => signal.aborted || this.fail(error);
    const hear = (ms) => silence.arm(ms, fail);
    this._silence.push(silence);
    hear(firstMs);
    try {
      const headers = { Accept: "text/event-stream" };
      const { body } = await this.ask("sse/progress", { headers, signal }, query);
      const isNew = new Map();
      for await (const line of linesOf(body)) {
        if (signal.aborted) return;
        this._heardAt = performance.now();
        hear(this.pingMs + LATE_MS);
        if (line.startsWith("data:")) this._hear(parsed(line.slice(5)), isNew, onWelcome);
      }
      fail();
    } catch (error) {
      fail(error);
    }
  }

  _hear(frame, isNew, onWelcome) {
    const { type, sid, id, replay } = frame;
    const session = this.host.sessions.get(sid);
    if (type === "welcome") {
      if (!onWelcome) return; // a further stream's
      this.tell(frame);
      onWelcome();
    } else if (type === "message" && id === undefined && session) {
      if (!isNew.has(session)) isNew.set(session, this.repeats.begin(session));
      if (isNew.get(session)(frame) || !replay) this.tell(frame);
    } else this.tell(frame);
  }

  /** A query for each stream: one, where the sids and positions fit into one. */
  _queries() {
    const [own, ...further] = this.sids;
    const streams = [[own]];
    let chars = this._part(own).length;
    for (const sid of further) {
      chars += this._part(sid).length;
      if (chars > QUERY_CHARS) {
        streams.push([""]);
        chars = this._part(sid).length;
      }
      streams.at(-1).push(sid);
    }
    return streams.map((sids) => sids.map((sid) => this._part(sid)).join("&"));
  }

  _part(sid) {
    const ids = this.host.sessions.after(sid, IDS_IN_URL) ?? [];
    while (String(ids).length > AFTER_CHARS) ids.shift();
    return `sid=${sid}&after=${ids}`;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    yield* lines;
  }
}
