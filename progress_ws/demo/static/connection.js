/** The page's one connection. All sessions that it shows share it. */

import { ProgressClient } from "/client/progress-ws.js";

const KNOWN_MS = 5000; // what is retained comes at once; a worker that has just been started takes longer

let socket;

class Droppable extends WebSocket {
  constructor(url) {
    super(url);
    socket = this;
  }
}

/** Without a session of its own: each job has one, and is followed. */
export const progress = new ProgressClient({ sid: "", WebSocket: Droppable });

/** As a network does it that fails; the client comes back by itself. */
export function drop() {
  socket?.close();
}

/** Resolves with the next frame of a type, or with undefined where none comes in time. */
export function next(type, timeout_ms) {
  const signal = AbortSignal.timeout(timeout_ms);
  return new Promise((resolve) => {
    progress.addEventListener(type, ({ detail }) => resolve(detail), { once: true, signal });
    signal.addEventListener("abort", () => resolve());
  });
}

/** Calls back with each session that was asked for and of which, a while later, nothing is known. */
export function onForgotten(forget) {
  progress.addEventListener("followed", ({ detail: { sid } }) => {
    setTimeout(() => document.querySelector(`[sid="${sid}"][state="waiting"]`) && forget(sid), KNOWN_MS);
  });
}
