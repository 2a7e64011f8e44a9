const WAITING = 1_024; // frames that one loop may be behind

/**
 * The message frames of a client from now on, until it is closed.
 *
 * Policy for a loop that is slower than the messages: the newest of a sid and key takes the place of
 * the older ones that wait, at the end. Past the bound the oldest that waits is dropped, and the
 * client's `gap` event names its sid.
 */
export async function* framesOf(client, refusal) {
  const waiting = new Map();
  const listening = new AbortController();
  const { signal } = listening;
  let wake;
  const keep = ({ detail }) => {
    const { sid, key } = detail;
    const name = key === undefined ? detail : `${sid}/${key}`;
    waiting.delete(name);
    waiting.set(name, detail);
    if (waiting.size > WAITING) {
      const [oldest, { sid }] = waiting.entries().next().value;
      waiting.delete(oldest);
      client.dispatchEvent(new CustomEvent("gap", { detail: { type: "gap", sid } }));
    }
    wake?.();
  };
  client.addEventListener("message", keep, { signal });
  client.addEventListener("state", () => wake?.(), { signal });
  try {
    for (;;) {
      for (const [name, frame] of waiting) {
        waiting.delete(name);
        yield frame;
      }
      if (client.state === "closed") break;
      await new Promise((resolve) => (wake = resolve));
    }
    if (refusal()) throw refusal();
  } finally {
    listening.abort();
  }
}
