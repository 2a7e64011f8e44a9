// A node in the test's hands: sessions whose messages it sends over WebSocket, streams and polls,
// and faults of its own and of the way to it. It lives by the page's clock.

import { Page } from "./page.mjs";

const WAY_MS = 10; // from either side to the other

/** Let everything happen that waits for no clock. */
export async function quiet() {
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Let time pass in small steps, so that what is asynchronous keeps up with it. */
export async function pass(page, ms, stepMs = 50) {
  await quiet();
  for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
    page.clock.advance(Math.min(stepMs, ms - passedMs));
    await quiet();
  }
}

class Peer {
  sids = new Set();

  constructor(node, write) {
    this.node = node;
    this.write = write;
    node.peers.add(this);
  }

  attach(sid, after) {
    this.sids.add(sid);
    for (const frame of this.node.retained(sid, after)) this.write(frame);
  }

  end() {
    this.node.peers.delete(this);
  }
}

export class FakeNode {
  isUp = true;
  blocks = new Set(); // "websocket", "sse", "polling": what nothing comes back from
  isDraining = false; // takes nobody, but answers
  isSwallowing = false; // blocked is not refused, but never answered
  repeats = () => false; // whether an answer begins from the start, whatever the position
  refuses; // a Response for everything over HTTP
  messages = new Map();
  peers = new Set();
  requests = []; // [kind, URL]

  constructor(page) {
    this.page = page;
    const node = this;
    this.WebSocket = class {
      constructor(url) {
        node.#accept(this, new URL(url));
      }
    };
    page.fetch = (url, options) => this.#answer(new URL(url), options);
  }

  asked(kind) {
    return this.requests.filter(([name]) => name === kind).map(([, url]) => url);
  }

  publish(sid, frame) {
    const whole = { type: "message", sid, ...frame };
    this.messages.set(sid, [...(this.messages.get(sid) ?? []), whole]);
    for (const peer of this.peers) if (peer.sids.has(sid)) peer.write(whole);
  }

  /** End what is open, as a restart or a break does. */
  cut(code = 1006) {
    for (const peer of [...this.peers]) {
      peer.end();
      peer.cut(code);
    }
  }

  retained(sid, after) {
    const seen = new Map();
    for (const id of (!this.repeats() && after) || []) {
      const at = id.lastIndexOf("-");
      seen.set(id.slice(0, at), Number(id.slice(at + 1)));
    }
    return (this.messages.get(sid) ?? [])
      .filter(({ id }) => {
        if (!id) return true;
        const at = id.lastIndexOf("-");
        return !(Number(id.slice(at + 1)) <= seen.get(id.slice(0, at)));
      })
      .map((frame) => ({ ...frame, replay: true }));
  }

  #later(action, signal) {
    const { clock } = this.page;
    const id = clock.setTimeout(action, WAY_MS);
    signal?.addEventListener("abort", () => clock.clearTimeout(id));
  }

  #accept(socket, url) {
    this.requests.push(["websocket", url]);
    let isOpen = true;
    const peer = new Peer(this, (frame) => {
      this.#later(() => isOpen && socket.onmessage?.({ data: JSON.stringify(frame) }));
    });
    peer.cut = (code, reason = "") => {
      isOpen = false;
      this.#later(() => socket.onclose?.({ code, reason }));
    };
    socket.close = () => {
      isOpen = false;
      peer.end();
    };
    socket.send = (text) => this.#later(() => isOpen && this.#hear(peer, JSON.parse(text)));
    if (!this.isUp || this.isDraining || this.blocks.has("websocket")) {
      peer.end();
      if (this.isUp && this.isSwallowing) return;
      return peer.cut(1006);
    }
    const sid = url.searchParams.get("sid") ?? "sid-minted-by-the-node-1";
    peer.write({ type: "welcome", sid: sid || undefined, protocol: 1, ping_s: 25 });
    if (sid) peer.attach(sid, url.searchParams.get("after")?.split(","));
  }

  #hear(peer, { type, sid, after }) {
    if (type === "ping") peer.write({ type: "pong" });
    if (type === "follow") {
      peer.write({ type: "followed", sid });
      peer.attach(sid, after);
    }
    if (type === "unfollow") {
      peer.sids.delete(sid);
      peer.write({ type: "unfollowed", sid });
    }
  }

  async #answer(url, { signal, method = "GET" } = {}) {
    const [, kind] = /(sse|messages|cancel|sessions)(?:\/progress)?$/.exec(url.pathname);
    this.requests.push([kind, url]);
    await new Promise((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
      const isBlocked = this.blocks.has({ sse: "sse", messages: "polling" }[kind]);
      const fail = () => reject(new TypeError("fetch failed"));
      if (!this.isUp || (isBlocked && !this.isSwallowing)) this.#later(fail, signal);
      else if (!isBlocked) this.#later(resolve, signal);
    });
    if (this.refuses) return this.refuses();
    if (kind === "sessions" && method === "POST") {
      const draining = this.isDraining || undefined;
      return Response.json({ sid: "sid-minted-by-the-node-1", draining }, { status: 201 });
    }
    if (kind === "cancel") return Response.json({ detail: "nobody" }, { status: 404 });
    if (kind === "sse") return this.#stream(url, signal);
    const [sid] = url.pathname.split("/").slice(-2);
    const after = url.searchParams.get("after")?.split(",");
    return Response.json({ sid, messages: this.retained(sid, after), after: "" });
  }

  #stream(url, signal) {
    let stream;
    const body = new ReadableStream({ start: (controller) => void (stream = controller) });
    const encoder = new TextEncoder();
    let isOpen = true;
    const peer = new Peer(this, (frame) => {
      if (isOpen) stream.enqueue(encoder.encode(`data: ${JSON.stringify(frame)}\n\n`));
    });
    const { clock } = this.page;
    const pong = () => {
      peer.write({ type: "pong" });
      timer = clock.setTimeout(pong, 25_000);
    };
    let timer = clock.setTimeout(pong, 25_000);
    peer.cut = () => {
      clock.clearTimeout(timer);
      if (isOpen) stream.close();
      isOpen = false;
    };
    signal?.addEventListener("abort", () => {
      clock.clearTimeout(timer);
      if (isOpen) stream.error(signal.reason);
      isOpen = false;
      peer.end();
    });
    const afters = url.searchParams.getAll("after");
    for (const [i, sid] of url.searchParams.getAll("sid").entries()) {
      const type = i ? "followed" : "welcome";
      peer.write({ type, sid: sid || undefined, ...(i ? {} : { protocol: 1, ping_s: 25 }) });
      if (sid) peer.attach(sid, afters[i] ? afters[i].split(",") : undefined);
    }
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }
}

/** A page whose client talks to a node of the test's. */
export function openOn(t, options, prepare = () => {}) {
  const page = new Page(t);
  const node = new FakeNode(page);
  prepare(node, page);
  const reload = () => page.open({ WebSocket: node.WebSocket, ...options });
  return { page, node, client: reload(), reload };
}
