/** One client for all elements of a source, and what it brings to them. */

import { ProgressClient } from "./progress-ws.js";
import { mustBeSid } from "./sids.js";

const TYPES = ["welcome", "followed", "message", "error", "state", "gap", "stalled"];
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
  const peers = (client.live ??= listen(client));
  element._client = client;
  // What one has heard of a session comes to the others no second time.
  for (const peer of peers) if (peer._sid === sid) element._bars = peer._bars;
  peers.add(element);
  return () => {
    peers.delete(element);
    // What is moved on the page leaves it and is back at once.
    setTimeout(() => {
      // On a client of its own the application may follow the same session itself.
      if (clients[url] !== client) return;
      if (![...peers].some((peer) => peer._sid === sid)) client.unfollow(sid);
      if (peers.size) return;
      client.close();
      delete clients[url];
    });
  };
}

function listen(client) {
  const peers = new Set();
  for (const type of TYPES)
    client.addEventListener(type, ({ detail: frame }) => {
      for (const peer of peers) if (peer._sid === (frame.sid ?? peer._sid)) peer._hear(frame);
    });
  return peers;
}
