// A page without a browser: its clock, sockets, events and storage, all in the test's hands.
// Nothing here waits: time passes when `clock.advance` says so.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";

import "./old-node.mjs";

// From 22 on Node.js has one, and a client that is given none would go out into the network.
delete globalThis.WebSocket;

// What is served, or, where that is named, the sources that it is built from.
export const { CLIENT = "../../progress_ws/client/progress-ws.js" } = process.env;
export const { ProgressClient } = await import(CLIENT);

export const PAGE_EVENTS = ["visibilitychange", "online", "offline", "pageshow", "pagehide"];
export const SID = "sid-of-this-request-0001";
export const OTHER = "sid-of-another-job-00002";

class Clock {
  #timers = new Map();
  #lastId = 0;
  nowMs = 0;

  setTimeout = (action, ms = 0) => {
    assert(ms >= 0 && ms < 2 ** 31, `a timer would fire at once: ${ms} ms`);
    this.#timers.set(++this.#lastId, { action, dueMs: this.nowMs + ms });
    return this.#lastId;
  };

  clearTimeout = (id) => {
    this.#timers.delete(id);
  };

  get pending() {
    return this.#timers.size;
  }

  advance(ms) {
    const endMs = this.nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.dueMs <= endMs);
      if (!due.length) break;
      const [id, { action, dueMs }] = due.reduce((a, b) => (b[1].dueMs < a[1].dueMs ? b : a));
      this.#timers.delete(id);
      this.nowMs = Math.max(this.nowMs, dueMs);
      action();
    }
    this.nowMs = endMs;
  }
}

class Socket {
  sent = [];
  isClosed = false;

  constructor(url, page) {
    this.url = new URL(url);
    this.page = page;
  }

  send(text) {
    assert(!this.isClosed, "sent on a closed socket");
    const { clock, answersPings } = this.page;
    const frame = JSON.parse(text);
    this.sent.push({ ...frame, atMs: clock.nowMs, bytes: text.length });
    if (frame.type === "ping" && answersPings)
      clock.setTimeout(() => this.says({ type: "pong" }), 50);
  }

  close() {
    this.isClosed = true;
  }

  // The server's side

  says(frame) {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  welcomes(sid, rest) {
    this.says({ type: "welcome", sid, node: "a", protocol: 1, ping_s: 25, ...rest });
  }

  closes(code = 1006, reason = "") {
    this.isClosed = true;
    this.onclose?.({ code, reason });
  }

  of(type) {
    return this.sent.filter((frame) => frame.type === type);
  }
}

export class MemoryStorage {
  items = new Map();
  getItem = (key) => this.items.get(key) ?? null;
  setItem = (key, value) => void this.items.set(key, String(value));
  removeItem = (key) => void this.items.delete(key);
}

/** A page for one test `t`. What it replaces in the global scope is put back after that. */
export class Page {
  clock = new Clock();
  sockets = [];
  events = [];
  random = 0.5;
  answersPings = false;
  document = { hidden: false };
  storage = new MemoryStorage();
  /** Plain HTTP: nothing can be reached, unless a test says otherwise. */
  fetch = async () => {
    throw new TypeError("fetch failed");
  };
  #target = new EventTarget();

  constructor(t, { location = "https://shop.example/orders?page=2" } = {}) {
    const scope = {
      setTimeout: this.clock.setTimeout,
      clearTimeout: this.clock.clearTimeout,
      performance: { now: () => this.clock.nowMs },
      addEventListener: this.#target.addEventListener.bind(this.#target),
      removeEventListener: this.#target.removeEventListener.bind(this.#target),
      document: this.document,
      location: new URL(location),
      sessionStorage: this.storage,
      fetch: (url, options) => this.fetch(url, options),
    };
    for (const [name, value] of Object.entries(scope)) this.define(t, name, { value });
  }

  define(t, name, descriptor) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { configurable: true, ...descriptor });
    t.after(() => {
      if (before) Object.defineProperty(globalThis, name, before);
      else delete globalThis[name];
    });
  }

  open(options) {
    const page = this;
    const WebSocket = function (url) {
      return page.makeSocket(url);
    };
    const client = new ProgressClient({ WebSocket, random: () => this.random, ...options });
    for (const type of [
      "state",
      "welcome",
      "message",
      "followed",
      "unfollowed",
      "gap",
      "stalled",
      "error",
    ]) {
      client.addEventListener(type, ({ detail }) => this.events.push([type, detail]));
    }
    return client;
  }

  makeSocket(url) {
    this.sockets.push(new Socket(url, this));
    return this.socket;
  }

  /** The newest socket. */
  get socket() {
    return this.sockets.at(-1);
  }

  happens(type) {
    this.#target.dispatchEvent(new Event(type));
  }

  get listeners() {
    return PAGE_EVENTS.flatMap((type) => getEventListeners(this.#target, type)).length;
  }

  details(type) {
    return this.events.filter(([name]) => name === type).map(([, detail]) => detail);
  }

  get messages() {
    return this.details("message").map(({ message }) => message);
  }
}

/** A page with one client that has been welcomed. */
export function openPage(t, options) {
  const page = new Page(t);
  const client = page.open(options);
  page.socket.welcomes(options?.sid === "" ? undefined : (options?.sid ?? SID));
  return { page, client };
}

export function message(id, text = id, sid = SID) {
  return { type: "message", sid, message: text, id, ts: 1 };
}
