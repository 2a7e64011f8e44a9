// The connection's life: it always comes back, at the right time, unless it is told not to.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PAGE_EVENTS, SID, Page, message, openPage } from "./page.mjs";

const states = (page) => page.details("state").map(({ state }) => state);

test("the states of a life", (t) => {
  const page = new Page(t);
  const client = page.open();
  assert.equal(client.state, "connecting");
  page.socket.welcomes(SID);
  page.socket.closes(1012, "restart");
  page.clock.advance(2_000);
  client.close();
  assert.deepEqual(page.details("state"), [
    { state: "open" },
    { state: "waiting", code: 1012, reason: "restart", wait_s: 1 },
    { state: "connecting" },
    { state: "closed", code: undefined, reason: undefined },
  ]);
});

test("the wait is a random part of an interval that doubles up to 10 s, for ever", (t) => {
  const page = new Page(t);
  page.open();
  const intervals = [];
  for (let attempt = 0; attempt < 200; attempt++) {
    page.random = attempt % 2 ? 0.25 : 0.75;
    page.socket.closes();
    const { wait_s } = page.details("state").at(-1);
    intervals.push(wait_s / page.random);
    page.clock.advance(wait_s * 1000 - 1);
    assert.equal(page.sockets.length, attempt + 1);
    page.clock.advance(1);
    assert.equal(page.sockets.length, attempt + 2);
  }
  assert.deepEqual(intervals.slice(0, 8), [0.5, 1, 2, 4, 8, 10, 10, 10]);
  assert.equal(intervals.at(-1), 10);
});

test("only a connection that has answered a ping after some seconds resets the interval", (t) => {
  const page = new Page(t);
  page.random = 1;
  page.answersPings = true;
  page.open({ sid: SID });
  const lifetimes_s = [0, 1, 4, 9, 11, 0, 0];
  const waits_s = lifetimes_s.map((lifetime_s) => {
    page.socket.welcomes(SID);
    page.clock.advance(lifetime_s * 1000);
    page.socket.closes();
    const { wait_s } = page.details("state").at(-1);
    page.clock.advance(wait_s * 1000);
    return wait_s;
  });
  assert.deepEqual(waits_s, [0.5, 1, 2, 4, 0.5, 1, 2]);
});

for (const code of [
  1000, 1001, 1006, 1009, 1011, 1012, 1013, 3000, 4000, 4001, 4290, 4399, 4500, 4999,
]) {
  test(`close code ${code} means come back`, (t) => {
    const { page, client } = openPage(t);
    page.socket.closes(code);
    assert.equal(client.state, "waiting");
    page.clock.advance(120_000);
    assert.equal(page.sockets.length > 1, true);
    assert.deepEqual(page.details("error"), []);
  });
}

for (const code of [4400, 4401, 4403, 4450, 4499]) {
  test(`close code ${code} means the end, and the application is told`, (t) => {
    const { page, client } = openPage(t);
    page.socket.closes(code, "because");
    assert.equal(client.state, "closed");
    assert.deepEqual(page.details("state").at(-1), { state: "closed", code, reason: "because" });
    assert.deepEqual(page.details("error"), [{ type: "error", code, detail: "because" }]);
    assertNothingLeft(page);
  });
}

const WAITS = [
  // code, shortest and longest wait in seconds
  [1006, 0, 0.5],
  [1012, 0, 2],
  [1013, 5, 20],
  [4290, 60, 70],
];
for (const [code, shortest, longest] of WAITS) {
  test(`after ${code} it comes back in ${shortest} to ${longest} s`, (t) => {
    for (const [random, expected] of [
      [0, shortest],
      [1, longest],
    ]) {
      const { page } = openPage(t);
      page.random = random;
      page.socket.closes(code);
      assert.equal(page.details("state").at(-1).wait_s, expected);
    }
  });
}

for (const type of ["visibilitychange", "online", "pageshow"]) {
  test(`${type} ends the wait at once`, (t) => {
    const { page } = openPage(t);
    page.socket.closes();
    page.happens(type);
    assert.equal(page.sockets.length, 2);
    page.clock.advance(3_000);
    assert.equal(page.sockets.length, 2, "the timer of the wait is gone");
  });

  test(`${type} does not end a wait that the server has asked for`, (t) => {
    for (const code of [1013, 4290]) {
      const { page } = openPage(t);
      page.socket.closes(code);
      page.happens(type);
      assert.equal(page.sockets.length, 1);
    }
  });

  test(`${type} makes an open connection prove that it lives`, (t) => {
    const { page, client } = openPage(t);
    page.socket.says(message("p-1"));
    page.happens(type);
    assert.equal(page.socket.of("ping").length, 1);
    page.clock.advance(5_000);
    assert.equal(client.state, "waiting");
    assert.equal(page.socket.isClosed, true);
    page.clock.advance(500);
    assert.equal(page.socket.url.searchParams.get("after"), "p-1");
  });

  test(`${type} while connecting for the first time changes nothing`, (t) => {
    const page = new Page(t);
    page.open();
    page.happens(type);
    assert.equal(page.sockets.length, 1);
    assert.deepEqual(page.socket.sent, []);
  });

  test(`${type} puts a new attempt in the place of one that follows upon a failed one`, (t) => {
    const { page, client } = openPage(t);
    page.socket.closes();
    page.clock.advance(500);
    assert.equal(client.state, "connecting");
    page.happens(type);
    page.happens(type);
    assert.deepEqual(
      page.sockets.map(({ isClosed }) => isClosed),
      [true, true, false],
    );
    page.socket.welcomes(SID);
    assert.equal(client.state, "open");
  });
}

test("a tab that is hidden is left alone", (t) => {
  const { page } = openPage(t);
  page.document.hidden = true;
  page.happens("visibilitychange");
  assert.deepEqual(page.socket.sent, []);
  page.socket.closes();
  page.happens("visibilitychange");
  assert.equal(page.sockets.length, 1);
  page.happens("online");
  assert.equal(page.sockets.length, 2);
});

test("a tab shown again and again neither floods the server nor puts off the verdict", (t) => {
  const { page, client } = openPage(t);
  for (let i = 0; i < 50; i++) {
    page.happens("visibilitychange");
    page.clock.advance(100);
  }
  assert.equal(page.sockets[0].of("ping").length, 1);
  assert.equal(client.state, "waiting");
});

test("a page that goes away lets its socket go, and is back when it is restored", (t) => {
  const { page, client } = openPage(t);
  page.socket.says(message("p-1"));
  page.happens("pagehide");
  assert.equal(page.socket.isClosed, true);
  assert.equal(client.state, "waiting");
  page.happens("pageshow");
  assert.equal(page.sockets.length, 2);
  assert.equal(page.socket.url.search, `?sid=${SID}&after=p-1`);
});

test("a page that goes away while the server wants it to wait still waits", (t) => {
  const { page } = openPage(t);
  page.socket.closes(4290);
  page.happens("pagehide");
  page.happens("pageshow");
  assert.equal(page.sockets.length, 1);
});

test("it pings at the pace of the welcome while it is answered", (t) => {
  const page = new Page(t);
  page.answersPings = true;
  const client = page.open();
  page.socket.welcomes(SID, { ping_s: 20 });
  page.clock.advance(100_000);
  assert.equal(client.state, "open");
  assert.deepEqual(
    page.socket.of("ping").map(({ atMs }) => atMs / 1000),
    [5, 30, 55, 80],
  );
});

test("only a pong is an answer: what was on its way before may come late", (t) => {
  for (const frame of [{ type: "news" }, "garbage", message("p-1")]) {
    const { page, client } = openPage(t);
    page.clock.advance(5_000);
    assert.equal(page.socket.of("ping").length, 1);
    page.socket.says(frame);
    page.clock.advance(5_000);
    assert.equal(client.state, "waiting");
  }
});

test("while anything comes the pong may still come", (t) => {
  const { page, client } = openPage(t);
  page.clock.advance(5_000);
  for (let seq = 1; seq <= 10; seq++) {
    page.socket.says(message(`p-${seq}`));
    page.clock.advance(1_000);
  }
  assert.equal(client.state, "open");
  page.socket.says({ type: "pong" });
  page.clock.advance(10_000);
  assert.equal(client.state, "open");
  page.clock.advance(60_000);
  assert.notEqual(client.state, "open");
});

for (const [ping_s, expected_s] of [
  [25, 25],
  [undefined, 25],
  [null, 25],
  ["soon", 25],
  [{}, 25],
  [0, 25],
  [-1, 5],
  [0.001, 5],
  [1e9, 300],
  [1e308, 300],
]) {
  test(`ping_s ${JSON.stringify(ping_s)} means ${expected_s} s`, (t) => {
    const page = new Page(t);
    page.answersPings = true;
    page.open();
    page.socket.welcomes(SID, { ping_s });
    page.clock.advance(400_000);
    const [first, second] = page.socket.of("ping").map(({ atMs }) => atMs / 1000);
    assert.equal(second - first, 5 + expected_s);
  });
}

test("an attempt has 4 s to be welcomed, and the further ones more, up to 10 s", (t) => {
  const page = new Page(t);
  page.random = 0;
  const client = page.open();
  for (const [attempt, deadline_ms] of [4_000, 8_000, 10_000, 10_000].entries()) {
    page.clock.advance(deadline_ms - 1);
    assert.equal(client.state, "connecting");
    assert.equal(page.sockets.length, attempt + 1);
    page.clock.advance(1);
    assert.equal(page.sockets.at(attempt).isClosed, true);
    assert.equal(page.sockets.length, attempt + 2);
  }
});

test("a socket that was given up has no say any more", (t) => {
  const { page, client } = openPage(t);
  const { onmessage, onclose } = page.socket;
  const old = page.socket;
  page.happens("online");
  page.clock.advance(6_000);
  page.socket.welcomes(SID);
  assert.notEqual(page.socket, old);
  assert(onmessage && onclose && !old.onmessage && !old.onclose);
  old.closes(4400);
  assert.equal(client.state, "open");
});

test("close() ends for good and leaves nothing behind, in every state", async (t) => {
  const lives = {
    connecting: () => {},
    open: (page) => page.socket.welcomes(SID),
    "open, pinging": (page) => page.socket.welcomes(SID) ?? page.clock.advance(6_000),
    waiting: (page) => page.socket.closes(1006),
  };
  for (const [name, live] of Object.entries(lives)) {
    const page = new Page(t);
    const client = page.open({ sid: SID });
    assert.equal(page.listeners, PAGE_EVENTS.length);
    for (let i = 0; i < 200; i++) client.follow(`sid-of-job-number-${1000 + i}`);
    live(page);
    client.close();
    client.close();
    assert.equal(client.state, "closed", name);
    assert.equal(states(page).filter((state) => state === "closed").length, 1);
    assert.deepEqual(page.details("error"), []);
    assertNothingLeft(page);
    client.follow(SID);
    client.unfollow(SID);
    assertNothingLeft(page);
  }
});

test("ready rejects when the client is closed before its welcome", async (t) => {
  const page = new Page(t);
  const client = page.open();
  client.close();
  await assert.rejects(client.ready, { message: "closed" });
});

for (const last of ["waiting", "connecting", "open", "welcome", "message"]) {
  test(`close() from a listener, at ${last}, leaves nothing behind either`, (t) => {
    const page = new Page(t);
    const client = page.open({ sid: SID });
    client.addEventListener("state", ({ detail }) => detail.state === last && client.close());
    client.addEventListener(last, () => client.close());
    client.follow("sid-of-job-number-1");
    page.socket.closes();
    page.clock.advance(1_000);
    page.socket.welcomes?.(SID);
    page.socket.says(message("p-1"));
    assert.equal(client.state, "closed");
    assertNothingLeft(page);
  });
}

test("a WebSocket that cannot be made is an attempt that failed, and why is told", (t) => {
  const page = new Page(t);
  let isAllowed = false;
  const WebSocket = function (url) {
    if (!isAllowed) throw new DOMException("not here", "SecurityError");
    return page.makeSocket(url);
  };
  const client = page.open({ WebSocket });
  assert.equal(client.state, "waiting");
  page.clock.advance(1_000);
  assert.match(page.details("state").at(-1).reason, /not here/);
  isAllowed = true;
  page.clock.advance(1_000);
  page.socket.welcomes(SID);
  assert.equal(client.state, "open");
});

for (const type of ["pagehide", "offline"]) {
  test(`${type} ends every attempt and connection, and nothing is made of it`, (t) => {
    const page = new Page(t);
    page.fetch = async () => ({ ok: true });
    const client = page.open();
    for (let i = 0; i < 5; i++) {
      page.happens(type);
      assert.equal(client.state, "waiting");
      page.happens(type);
      page.happens("online");
      assert.equal(client.state, "connecting");
    }
    assert.equal(client.transport, "websocket");
    page.socket.welcomes(SID);
    page.happens(type);
    assert.equal(client.state, "waiting");
    page.happens("online");
    page.socket.welcomes(SID);
    assert.equal(client.state, "open");
  });
}

test("a wake lets the waits begin short again", (t) => {
  const page = new Page(t);
  page.open();
  for (let i = 0; i < 10; i++) {
    page.socket.closes();
    page.clock.advance(20_000);
  }
  page.socket.closes();
  page.happens("online");
  page.socket.closes();
  assert.equal(page.details("state").at(-1).wait_s, 0.25);
});

function assertNothingLeft(page) {
  assert.equal(page.clock.pending, 0, "timers");
  assert(
    page.sockets.every((socket) => socket.isClosed),
    "sockets",
  );
  assert.equal(page.listeners, 0, "listeners");
}
