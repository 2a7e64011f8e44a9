// Where WebSocket is blocked something else takes its place; where a node is merely down, nothing.

import assert from "node:assert/strict";
import { test } from "node:test";

import { pass, openOn, quiet } from "./node.mjs";
import { CLIENT, OTHER, Page, SID } from "./page.mjs";

// Loaded here, so that no test waits for a disk.
await import(CLIENT.replace("progress-ws", "progress-http"));

const blocking = (...kinds) => (node) => kinds.forEach((kind) => node.blocks.add(kind));
const states = (page) => page.details("state").map(({ state }) => state);

test("with WebSocket blocked it streams within a second", async (t) => {
  const { page, node, client } = openOn(t, { sid: SID }, blocking("websocket"));
  assert.equal(client.transport, "websocket");
  await pass(page, 1_000);
  assert.equal(client.transport, "sse");
  assert.equal(client.state, "open");
  node.publish(SID, { message: 1, id: "p-1" });
  await pass(page, 100);
  assert.deepEqual(page.messages, [1]);
});

test("with streams blocked, too, it polls soon after", async (t) => {
  const { page, node, client } = openOn(t, { sid: SID }, blocking("websocket", "sse"));
  await pass(page, 2_500);
  assert.equal(client.transport, "polling");
  assert.equal(client.state, "open");
  node.publish(SID, { message: 1, id: "p-1" });
  await pass(page, 1_500);
  assert.deepEqual(page.messages, [1]);
});

test("what swallows upgrades in silence costs the time of two attempts", async (t) => {
  const { page, node, client } = openOn(t, { sid: SID }, (node) => {
    node.blocks.add("websocket");
    node.isSwallowing = true;
  });
  await pass(page, 13_000);
  assert.equal(client.transport, "sse");
  assert.equal(client.state, "open");
  assert.equal(node.asked("websocket").length, 2);
});

test("a WebSocket that cannot even be made is blocked", async (t) => {
  const broken = function () {
    throw new DOMException("blocked", "SecurityError");
  };
  for (const WebSocket of [undefined, null, broken]) {
    const { page, client } = openOn(t, { sid: SID, WebSocket });
    await pass(page, 1_000);
    assert.equal(client.transport, "sse");
    assert.equal(client.state, "open");
  }
});

test("a node that is down is asked by WebSocket only, for however long", async (t) => {
  const { page, node, client } = openOn(t, { sid: SID }, (node) => void (node.isUp = false));
  await pass(page, 120_000, 500);
  assert.equal(client.transport, "websocket");
  assert.equal(node.asked("sse").length, 0);
  node.isUp = true;
  await pass(page, 21_000, 500);
  assert.equal(client.state, "open");
  assert.equal(client.transport, "websocket");
});

test("a node that drains blocks nothing, though it answers", async (t) => {
  const { page, node, client } = openOn(t, { sid: SID });
  node.isDraining = true;
  node.cut(1012);
  await pass(page, 30_000, 500);
  assert(node.asked("sessions").length > 0, "it has been asked");
  node.isDraining = false;
  await pass(page, 15_000, 500);
  assert.equal(client.state, "open");
  assert.equal(client.transport, "websocket");
});

test("whether plain HTTP works is asked with the endpoint's own query", async (t) => {
  const page = new Page(t);
  const asked = [];
  page.fetch = async (url) => {
    asked.push(new URL(url));
    return new Response("{}", { status: asked.at(-1).searchParams.has("token") ? 201 : 401 });
  };
  const client = page.open({ sid: SID, url: "wss://node.example/websocket/progress?token=abc" });
  for (let attempt = 0; attempt < 2; attempt++) {
    page.socket.closes();
    await quiet();
    page.clock.advance(5_000);
    await quiet();
  }
  assert.equal(asked[0].search, "?token=abc");
  assert.notEqual(client.transport, "websocket");
});

test("one question at a time is open, and none after close()", async (t) => {
  const page = new Page(t);
  const open = new Set();
  page.fetch = (url, { signal }) =>
    new Promise((_, reject) => {
      open.add(signal);
      signal.addEventListener("abort", () => open.delete(signal) && reject(signal.reason));
    });
  const client = page.open({ sid: SID });
  let most = 0;
  for (let passed = 0; passed < 24; passed++) {
    page.clock.advance(5_000);
    await quiet();
    most = Math.max(most, open.size);
  }
  assert.equal(most, 1);
  client.close();
  assert.equal(open.size, 0);
});

for (const code of [1012, 1013, 4290]) {
  test(`a server that says ${code} blocks nothing`, async (t) => {
    const { page, node, client } = openOn(t, { sid: SID });
    for (let i = 0; i < 4; i++) {
      node.cut(code);
      await pass(page, 75_000, 500);
    }
    assert.equal(client.transport, "websocket");
    assert.equal(node.asked("sse").length, 0);
  });
}

test("after an outage it begins with what worked last", async (t) => {
  for (const kinds of [["websocket"], ["websocket", "sse"]]) {
    const { page, node, client } = openOn(t, { sid: SID }, blocking(...kinds));
    await pass(page, 3_000);
    const worked = client.transport;
    assert.equal(client.state, "open");
    const before = node.asked("websocket").length;
    node.isUp = false;
    node.cut();
    page.happens("offline");
    await pass(page, 60_000, 500);
    assert.equal(client.state === "open", false);
    node.isUp = true;
    page.happens("online");
    await pass(page, 100);
    assert.equal(client.state, "open");
    assert.equal(client.transport, worked);
    assert(node.asked("websocket").length <= before + 1, "but for a trial beside");
  }
});

test("a reload begins with what worked last", async (t) => {
  const { page, node, client, reload } = openOn(t, {}, blocking("websocket"));
  await pass(page, 1_000);
  client.close();
  const asked = node.asked("websocket").length;
  const reloaded = reload();
  await pass(page, 100);
  assert.equal(reloaded.state, "open");
  assert.equal(reloaded.transport, "sse");
  assert.equal(reloaded.sid, client.sid);
  assert.equal(node.asked("websocket").length, asked);
});

test("what storage says of a transport that is not wanted is nothing", async (t) => {
  for (const kept of ["polling", "telepathy", "__proto__", ""]) {
    const options = { sid: SID, transports: ["websocket", "sse"] };
    const { page, client } = openOn(t, options, (_, page) => {
      page.storage.setItem("progress-ws.sid.transport", kept);
    });
    await pass(page, 100);
    assert.equal(client.transport, "websocket");
    assert.equal(client.state, "open");
  }
});

test("WebSocket is taken again within minutes of its coming back, without a pause", async (t) => {
  for (const kinds of [["websocket"], ["websocket", "sse"]]) {
    const { page, node, client } = openOn(t, { sid: SID }, blocking(...kinds));
    await pass(page, 3_000);
    node.blocks.clear();
    const known = states(page).length;
    for (let i = 1; i <= 400; i++) {
      node.publish(SID, { message: i, id: `p-${i}` });
      await pass(page, 1_000, 250);
    }
    assert.equal(client.transport, "websocket");
    assert.equal(client.state, "open");
    assert.deepEqual(
      page.messages,
      Array.from({ length: 400 }, (_, i) => i + 1),
    );
    assert.equal(states(page).slice(known).includes("waiting"), false);
    const { items } = page.storage;
    assert.equal(items.get("progress-ws.sid.transport"), undefined);
  }
});

test("a wake is an occasion to try WebSocket again, and not each", async (t) => {
  const { page, node, client } = openOn(t, { sid: SID }, blocking("websocket"));
  await pass(page, 1_000);
  const before = node.asked("websocket").length;
  await pass(page, 31_000, 1_000);
  for (let i = 0; i < 5; i++) page.happens("visibilitychange");
  await pass(page, 1_000);
  assert.equal(node.asked("websocket").length, before + 1);
  assert.equal(client.transport, "sse");
  node.blocks.clear();
  await pass(page, 31_000, 1_000);
  page.happens("visibilitychange");
  await pass(page, 1_000);
  assert.equal(client.transport, "websocket");
});

test("transports are tried in the order that is given, and no others", async (t) => {
  const { page, node, client } = openOn(t, { sid: SID, transports: ["polling", "websocket"] });
  await pass(page, 1_000);
  assert.equal(client.transport, "polling");
  assert.equal(node.asked("websocket").length, 0);
  node.blocks.add("polling");
  await pass(page, 20_000);
  assert.equal(client.transport, "websocket");
  assert.equal(client.state, "open");
});

test("one transport alone is tried for ever", async (t) => {
  const options = { sid: SID, transports: ["websocket"] };
  const { page, node, client } = openOn(t, options, blocking("websocket"));
  await pass(page, 60_000, 500);
  assert.equal(client.transport, "websocket");
  assert(node.requests.every(([kind]) => kind === "websocket"));
});

for (const wrong of [[], ["ws"], ["websocket", "telepathy"], [undefined]]) {
  test(`the application is told of the transports ${JSON.stringify(wrong)}`, (t) => {
    assert.throws(() => openOn(t, { transports: wrong }), TypeError);
  });
}

for (const transport of ["sse", "polling"]) {
  const only = { sid: SID, transports: [transport] };

  test(`${transport}: a refusal for good is told as a socket's would be`, async (t) => {
    const headers = { "Content-Type": "application/problem+json" };
    const { page, client } = openOn(t, only, (node) => {
      node.refuses = () => new Response('{"detail":"malformed"}', { status: 400, headers });
    });
    await pass(page, 100);
    assert.equal(client.state, "closed");
    const [error] = page.details("error");
    assert.equal(error.code, 4400);
    assert.match(error.detail, /malformed/);
    assert.equal(page.clock.pending, 0);
  });

  test(`${transport}: what a proxy refuses is tried again`, async (t) => {
    const { page, node, client } = openOn(t, only, (node) => {
      node.refuses = () => new Response("<h1>Bad gateway</h1>", { status: 403 });
    });
    await pass(page, 5_000);
    assert.notEqual(client.state, "closed");
    node.refuses = undefined;
    await pass(page, 20_000, 500);
    assert.equal(client.state, "open");
  });

  test(`${transport}: a server that wants us to wait is obeyed, also at a wake`, async (t) => {
    const headers = { "Content-Type": "application/problem+json", "Retry-After": "10" };
    const { page, node, client } = openOn(t, only, (node) => {
      node.refuses = () => new Response('{"detail":"full"}', { status: 503, headers });
    });
    await pass(page, 100);
    node.refuses = undefined;
    const asked = node.requests.length;
    page.happens("online");
    await pass(page, 9_000, 500);
    assert.equal(node.requests.length, asked);
    await pass(page, 12_000, 500);
    assert.equal(client.state, "open");
    assert.equal(client.transport, transport);
  });

  test(`${transport}: follows in a row are one change`, async (t) => {
    const { page, node, client } = openOn(t, only);
    await pass(page, 200);
    const asked = node.asked("sse").length;
    const sids = Array.from({ length: 20 }, (_, i) => `sid-of-job-number-${1000 + i}`);
    for (const sid of sids) client.follow(sid);
    client.unfollow(sids[0]);
    await pass(page, 3_000);
    assert.equal(page.details("followed").length, 19);
    if (transport === "sse") assert.equal(node.asked("sse").length, asked + 1);
    for (const sid of sids) node.publish(sid, { message: sid, id: "p-1" });
    await pass(page, 6_000, 200);
    assert.deepEqual(page.messages.sort(), sids.slice(1));
  });

  test(`${transport}: messages without an id are told once while it lasts`, async (t) => {
    const { page, node, client } = openOn(t, only);
    const told = ["a", "a", "b", "a"];
    for (const message of told) {
      node.publish(SID, { message });
      await pass(page, 2_000);
    }
    client.follow(OTHER); // a stream is opened anew for it
    await pass(page, 3_000);
    assert.deepEqual(page.messages, told);
    page.messages.length = 0;
    node.messages.set(SID, []); // all of them are too old by now
    await pass(page, 3_000);
    node.publish(SID, { message: "a" });
    await pass(page, 3_000);
    assert.deepEqual(page.messages, [...told, "a"]);
  });

  test(`${transport}: a session that is followed anew is had from the start`, async (t) => {
    const { page, node, client } = openOn(t, only);
    node.publish(OTHER, { message: 1, id: "p-1" });
    client.follow(OTHER);
    await pass(page, 2_500);
    client.unfollow(OTHER);
    client.follow(OTHER);
    await pass(page, 2_500);
    assert.deepEqual(page.messages, [1, 1]);
    client.unfollow(OTHER);
    node.publish(OTHER, { message: 2, id: "p-2" });
    await pass(page, 2_500);
    assert.deepEqual(page.messages, [1, 1]);
    assert.deepEqual(page.details("unfollowed"), [{ type: "unfollowed", sid: OTHER }]);
  });

  test(`${transport}: the own session can be left, and taken up again`, async (t) => {
    const { page, node, client } = openOn(t, only);
    await pass(page, 500);
    client.unfollow(SID);
    await pass(page, 500);
    node.publish(SID, { message: 1, id: "p-1" });
    await pass(page, 2_500);
    assert.deepEqual(page.messages, []);
    client.follow(SID);
    await pass(page, 2_500);
    assert.deepEqual(page.messages, [1]);
    assert.equal(client.state, "open");
  });

  test(`${transport}: a cancel that nobody hears is told`, async (t) => {
    const { page, client } = openOn(t, only);
    assert.equal(client.cancel("report"), false, "not yet");
    await pass(page, 500);
    assert.equal(client.cancel("report"), true);
    await pass(page, 500);
    const [error] = page.details("error");
    assert.equal(error.code, "nobody_listens");
    assert.equal(error.key, "report");
    assert.equal(client.state, "open");
  });

  test(`${transport}: close() leaves nothing, at whatever moment`, async (t) => {
    for (const atMs of [0, 5, 15, 25, 60, 500, 3_000]) {
      const { page, node, client } = openOn(t, only);
      client.follow(OTHER);
      await pass(page, atMs, 5);
      client.close();
      await pass(page, 100);
      assert.equal(page.clock.pending, 0, `timers, closed after ${atMs} ms`);
      assert.equal(node.peers.size, 0, "streams");
      assert.equal(page.listeners, 0, "listeners");
      assert.equal(page.details("state").at(-1).state, "closed");
      const asked = node.requests.length;
      await pass(page, 40_000, 1_000);
      assert.equal(node.requests.length, asked);
    }
  });
}

const SILENT = { type: "stalled", sid: SID, key: "k", silent_s: 3 };

test("polling: a key that falls silent again between two answers is told again", async (t) => {
  const { page, node } = openOn(t, { sid: SID, transports: ["polling"] });
  for (const id of ["p-1", "p-2"]) {
    node.messages.set(SID, [{ type: "message", sid: SID, id, key: "k", message: id }, SILENT]);
    await pass(page, 5_000);
  }
  assert.deepEqual(page.messages, ["p-1", "p-2"]);
  assert.equal(page.details("stalled").length, 2);
});

test("polling: a key that is still silent is told to who follows anew", async (t) => {
  const { page, node, client } = openOn(t, { sid: "", transports: ["polling"] });
  node.messages.set(OTHER, [{ ...SILENT, sid: OTHER }]);
  for (let times = 1; times < 3; times++) {
    client.follow(OTHER);
    await pass(page, 5_000);
    assert.equal(page.details("stalled").length, times);
    client.unfollow(OTHER);
    await pass(page, 3_000);
  }
});

test("polling: a message without an id or a time has another time at each node", async (t) => {
  const { page, node } = openOn(t, { sid: SID, transports: ["polling"] });
  let answers = 0;
  const message = { type: "message", sid: SID, message: "by hand" };
  node.retained = () => [{ ...message, ts: 1_000 + (answers++ % 2) * 0.003 }];
  await pass(page, 10_000);
  assert(answers > 5);
  assert.deepEqual(page.messages, ["by hand"]);
  node.retained = () => [{ ...message, ts: 1_600 }]; // the first is too old by now
  await pass(page, 5_000);
  assert.deepEqual(page.messages, ["by hand", "by hand"]);
});

test("a stream that falls silent is given up, and resumed where it was", async (t) => {
  const { page, node, client } = openOn(t, { sid: SID, transports: ["sse"] });
  node.publish(SID, { message: 1, id: "p-1" });
  await pass(page, 100);
  for (const peer of node.peers) peer.write = () => {};
  node.publish(SID, { message: 2, id: "p-2" });
  await pass(page, 29_000, 1_000);
  assert.equal(client.state, "open");
  await pass(page, 2_000);
  assert.equal(client.state, "open");
  assert.deepEqual(page.messages, [1, 2]);
  assert.equal(node.asked("sse").at(-1).search, `?sid=${SID}&after=p-1`);
  assert.equal(page.details("state").filter(({ state }) => state === "waiting").length, 1);
});

test("a stream that was silent when the page wakes is opened anew, and unheard", async (t) => {
  const { page, node, client } = openOn(t, { sid: SID, transports: ["sse"] });
  await pass(page, 5_000);
  page.happens("visibilitychange");
  await pass(page, 500);
  assert.equal(node.asked("sse").length, 1);
  await pass(page, 6_000);
  page.happens("visibilitychange");
  page.happens("pageshow");
  await pass(page, 500);
  assert.equal(node.asked("sse").length, 2);
  assert.deepEqual(
    page.details("state").map(({ state }) => state),
    ["open"],
  );
  node.isUp = false;
  await pass(page, 11_000, 500);
  assert.equal(client.state, "open", "nobody has noticed");
  page.happens("visibilitychange");
  await pass(page, 5_100);
  assert.notEqual(client.state, "open");
});

test("very long positions make several streams, each short enough for a proxy", async (t) => {
  const { page, node, client } = openOn(t, { sid: SID, transports: ["sse"] });
  const sids = Array.from({ length: 60 }, (_, i) => `${"s".repeat(100)}-${1000 + i}`);
  for (const sid of sids) client.follow(sid);
  for (const sid of sids) {
    for (let i = 0; i < 30; i++) {
      node.publish(sid, { message: i, id: `${String(i).padStart(60, "p")}-9007199254740991` });
    }
  }
  await pass(page, 500);
  assert.equal(page.messages.length, 60 * 30);
  node.cut();
  const asked = node.asked("sse").length;
  await pass(page, 1_000);
  const streams = node.asked("sse").slice(asked);
  assert(streams.length > 1);
  for (const { href } of streams) assert(href.length < 7_600, `${href.length} characters`);
  const asked_for = streams.flatMap(({ searchParams }) => searchParams.getAll("sid"));
  assert.deepEqual(asked_for.filter(Boolean), [SID, ...sids]);
  assert.equal(page.messages.length, 60 * 30, "what comes again is dropped");
});
