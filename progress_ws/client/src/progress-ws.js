/**
 * The progress of server-side jobs, over one connection that always comes back.
 *
 *   import { ProgressClient } from "/client/progress-ws.js";
 *
 *   const progress = new ProgressClient();       // connects; a reload keeps its sid
 *   progress.addEventListener("message", ({ detail }) => {
 *     bar.value = detail.message.current;        // detail: {sid, message, id, ts, key, final, ...}
 *   });
 *   progress.addEventListener("state", ({ detail }) => {
 *     badge.textContent = detail.state;          // connecting, open, waiting or closed
 *   });
 *   const body = JSON.stringify({ sid: await progress.ready });
 *   await fetch("/reports", { method: "POST", body });
 *   progress.follow(sidOfAnotherJob);            // many bars, one connection
 *   progress.cancel("report");                   // ask whoever works at this key to stop
 *
 * Each frame of the server is an event of its type (`welcome`, `message`, `followed`, `unfollowed`,
 * `gap`, `stalled`, `error`) with the frame as `detail`. An `error` also tells that the server has
 * refused us for good: its `code` is then the close code, and the state is closed.
 *
 * It is a WebSocket. Where something on the way lets none through, server-sent events and then
 * polling take its place, with the same events; what they need is loaded only then.
 */

export { ProgressClient } from "./client.js";
