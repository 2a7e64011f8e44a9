const PUBLISHERS = 1024; // remembered per sid
const ID = /^([\w.~-]{1,64})-([1-9]\d{0,15})$/; // greedy: split at the last "-"

/** The sessions that are wanted: sid -> (publisher -> last seq seen, the freshest at the end). */
export class Sessions extends Map {
  /** Take note of a message; tell whether it is the first time. */
  isNew({ sid, id }) {
    const positions = this.get(sid);
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
  after(sid, limit) {
    const positions = [...(this.get(sid) ?? [])].slice(-limit);
    const ids = positions.map(([publisher, seq]) => `${publisher}-${seq}`);
    return ids.length ? ids : undefined;
  }
}
