const REMEMBERED = 1_024; // messages without an id, per session
const SKEW_S = 10;

/**
 * Which messages without an id come again: no position covers them, so each answer has all that are
 * still retained. Two of the same text in one answer are two messages. Where the publisher gave no
 * time either, each node has its own for it, a little earlier or later than another's.
 */
export class Repeats {
  _seen = new WeakMap(); // a session's positions, which are its identity -> the last answer's

  /** Begin with an answer for this session; returns what tells whether a frame in it is new. */
  begin(session) {
    const known = new Map(); // text -> times
    for (const [text, ts] of this._seen.get(session) ?? []) {
      known.set(text, [...(known.get(text) ?? []), ts]);
    }
    const seen = [];
    this._seen.set(session, seen);
    return ({ key, run, ts, message }) => {
      const text = JSON.stringify([key, run, message]);
      const times = known.get(text) ?? [];
      const at = times.findIndex((time) => !(Math.abs(time - ts) > SKEW_S));
      if (at >= 0) times.splice(at, 1);
      if (seen.push([text, ts]) > REMEMBERED) seen.shift();
      return at < 0;
    };
  }
}
