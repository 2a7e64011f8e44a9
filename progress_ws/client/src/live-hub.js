/** One client for all elements of a source, and what it brings to them. */

import { take } from "./live-bar.js";
import { ProgressClient } from "./progress-ws.js";
import { mustBeSid } from "./sids.js";

const TYPES = ["welcome", "followed", "message", "error", "state", "gap", "stalled"];
const KNOWN = 256; // sessions of a client; the oldest that no element shows is forgotten for one more
const clients = {}; // address -> client that is ours

/**
 * Let the element have what comes for a session, until it calls what is returned.
 *
 * @param own - the application's client
 */
export function join(element, own, src, sid) {
  mustBeSid(sid); // before there is a client that nobody would close
  const url = src?.replace(/\/?$/, "/websocket/progress");
  const client = own ?? (clients[url] ??= new ProgressClient({ url, sid: "" }));
  client.follow(sid);
  const { peers, known } = (client.live ??= listen(client));
  const isShown = (sid) => [...peers].some((peer) => peer._sid === sid);
  element._client = client;
  peers.add(element);
  // What has been heard of a session comes to another element no second time.
  known.set(sid, (element._bars = known.get(sid) ?? element._bars));
  for (const old of known.keys()) if (known.size > KNOWN && !isShown(old)) known.delete(old);
  return () => {
    peers.delete(element);
    // What is moved on the page leaves it and is back at once.
    setTimeout(() => {
      // On a client of its own the application may follow the same session itself.
      if (clients[url] !== client) return;
      if (!isShown(sid)) {
        client.unfollow(sid);
        known.delete(sid);
      }
      if (peers.size) return;
      client.close();
      delete clients[url];
    });
  };
}

function listen(client) {
  const peers = new Set();
  const known = new Map(); // sid -> its bars, also while no element shows them
  for (const type of TYPES)
    client.addEventListener(type, ({ detail: frame }) => {
      if (known.has(frame.sid)) take(known.get(frame.sid), frame);
      for (const peer of peers) if (peer._sid === (frame.sid ?? peer._sid)) peer._hear(frame);
    });
  return { peers, known };
}
