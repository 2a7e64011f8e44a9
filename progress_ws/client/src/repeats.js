const REMEMBERED = 1_024; // messages without an id, per session

/**
 * Which messages without an id come again: no position covers them, so each answer has all that are
 * still retained. Two of the same text in one answer are two messages.
 */
export class Repeats {
  _texts = new WeakMap(); // a session's positions, which are its identity -> the last answer's texts

  /** Begin with an answer for this session; returns what tells whether a frame in it is new. */
  begin(session) {
    const known = new Map();
    for (const text of this._texts.get(session) ?? []) known.set(text, (known.get(text) ?? 0) + 1);
    const texts = [];
    this._texts.set(session, texts);
    return (frame) => {
      const text = JSON.stringify([frame.key, frame.run, frame.ts, frame.message]);
      const count = known.get(text);
      if (count) known.set(text, count - 1);
      if (texts.push(text) > REMEMBERED) texts.shift();
      return !count;
    };
  }
}
