// Which session a client is in: its address, its sid, and what it keeps for a reload.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SID, Page, openPage } from "./page.mjs";

const KEY = "progress-ws.sid";

const ADDRESSES = [
  ["https://shop.example/orders", undefined, "wss://shop.example/websocket/progress"],
  ["http://localhost:8080/", undefined, "ws://localhost:8080/websocket/progress"],
  [
    "https://shop.example/",
    "https://node.example/p/websocket/progress",
    "wss://node.example/p/websocket/progress",
  ],
  ["https://shop.example/", "ws://node.example:81/x#part", "ws://node.example:81/x"],
  ["https://shop.example/a/b", "live", "wss://shop.example/a/live"],
  ["https://shop.example/", "/x?tenant=7", "wss://shop.example/x?tenant=7"],
];
for (const [location, url, expected] of ADDRESSES) {
  test(`on ${location} the url ${url} means ${expected}`, (t) => {
    const page = new Page(t, { location });
    page.open({ url });
    assert.equal(page.socket.url.href, expected);
  });
}

test("a query in the url stays beside the sid", (t) => {
  const page = new Page(t);
  page.open({ url: "/x?tenant=7", sid: SID });
  assert.equal(page.socket.url.search, `?tenant=7&sid=${SID}`);
});

test("the first visit asks for no sid and learns one from the welcome", async (t) => {
  const { page, client } = openPage(t);
  assert.equal(page.socket.url.search, "");
  assert.equal(await client.ready, SID);
  assert.equal(client.sid, SID);
  assert.equal(page.details("welcome")[0].node, "a");
});

test("a reload keeps the sid, and starts without a position", (t) => {
  const { page } = openPage(t);
  page.socket.says({ type: "message", sid: SID, message: 1, id: "p-1" });
  const reloaded = page.open();
  assert.equal(page.socket.url.search, `?sid=${SID}`);
  assert.equal(reloaded.sid, SID);
});

test("a connection lost before the welcome asks for a new sid again", (t) => {
  const page = new Page(t);
  page.open();
  page.socket.closes();
  page.clock.advance(1_000);
  assert.equal(page.sockets.length, 2);
  assert.equal(page.socket.url.search, "");
});

test("a sid of the application's own neither reads nor writes storage", (t) => {
  const page = new Page(t);
  page.storage.setItem(KEY, "some-other-sid-000000001");
  const client = page.open({ sid: SID });
  page.socket.welcomes(SID);
  assert.equal(page.socket.url.search, `?sid=${SID}`);
  assert.equal(client.sid, SID);
  assert.equal(page.storage.getItem(KEY), "some-other-sid-000000001");
});

test("an empty sid asks for no session at all", async (t) => {
  const { page, client } = openPage(t, { sid: "" });
  assert.equal(page.socket.url.search, "?sid=");
  assert.equal(await client.ready, "");
  assert.equal(page.storage.items.size, 0);
});

test("two clients of one page keep two sids under two storage keys", (t) => {
  const page = new Page(t);
  for (const storageKey of ["left", "right"]) {
    page.open({ storageKey });
    page.socket.welcomes(`${storageKey}-sid-0000000000000`);
  }
  assert.deepEqual(
    [...page.storage.items],
    [
      ["left", "left-sid-0000000000000"],
      ["right", "right-sid-0000000000000"],
    ],
  );
});

for (const sid of [
  "short",
  "x".repeat(129),
  "has a blank in it 0000",
  "日".repeat(20),
  5,
  {},
  ["x".repeat(16)],
]) {
  test(`the application is told of the malformed sid ${JSON.stringify(sid).slice(0, 24)}`, (t) => {
    const page = new Page(t);
    const isRefusal = (error) => error instanceof TypeError && !error.message.includes(String(sid));
    assert.throws(() => page.open({ sid }), isRefusal);
    assert.equal(page.sockets.length, 0);
    assert.equal(page.clock.pending, 0);
    const client = page.open({ sid: SID });
    assert.throws(() => client.follow(sid), isRefusal);
  });
}

for (const kept of [
  "",
  "short",
  "a b",
  "\ud800".repeat(20),
  "x".repeat(4000),
  "../../admin?sid=0000000000",
]) {
  test(`what cannot be a sid in storage is replaced: ${JSON.stringify(kept).slice(0, 30)}`, (t) => {
    const page = new Page(t);
    page.storage.setItem(KEY, kept);
    const client = page.open();
    assert.equal(client.sid, undefined);
    assert.equal(page.socket.url.search, "");
    page.socket.welcomes(SID);
    assert.equal(page.storage.getItem(KEY), SID);
  });
}

test("a sid from storage that the server refuses is dropped for a new one", (t) => {
  const page = new Page(t);
  page.storage.setItem(KEY, "well-formed-but-refused-1");
  const client = page.open();
  page.socket.closes(4400, "malformed sid");
  assert.equal(page.storage.getItem(KEY), null);
  assert.equal(client.state, "waiting");
  assert.deepEqual(page.details("error"), []);
  page.clock.advance(1_000);
  assert.equal(page.socket.url.search, "");
  page.socket.welcomes(SID);
  assert.equal(client.sid, SID);
  assert.equal(page.storage.getItem(KEY), SID);
  assert.deepEqual(page.socket.sent, []);
});

test("a sid from storage that the server has once accepted is not dropped", (t) => {
  const page = new Page(t);
  page.storage.setItem(KEY, SID);
  const client = page.open();
  page.socket.welcomes(SID);
  page.socket.closes(4400, "malformed after");
  assert.equal(client.state, "closed");
  assert.equal(page.storage.getItem(KEY), SID);
});

test("a second refusal, of no sid at all, is for the application", (t) => {
  const page = new Page(t);
  page.storage.setItem(KEY, "well-formed-but-refused-1");
  const client = page.open();
  page.socket.closes(4400, "malformed sid");
  page.clock.advance(1_000);
  page.socket.closes(4400, "malformed format");
  assert.equal(client.state, "closed");
});

test("a sid of the application's own that the server refuses is not replaced", async (t) => {
  const page = new Page(t);
  const client = page.open({ sid: SID });
  page.socket.closes(4400, "malformed sid");
  assert.equal(client.state, "closed");
  assert.deepEqual(page.details("error"), [{ type: "error", code: 4400, detail: "malformed sid" }]);
  await assert.rejects(client.ready, { message: "refused: 4400 malformed sid" });
});

const BLOCKED = () => {
  throw new DOMException("blocked", "SecurityError");
};
const STORAGES = {
  "blocked storage": { getItem: BLOCKED, setItem: BLOCKED, removeItem: BLOCKED },
  "full storage": { getItem: () => null, setItem: BLOCKED, removeItem: BLOCKED },
  "no storage": null,
  "a storage that lies": { getItem: () => ({}), setItem() {}, removeItem() {} },
};
for (const [name, storage] of Object.entries(STORAGES)) {
  test(`${name} is harmless`, async (t) => {
    const { page, client } = openPage(t, { storage });
    assert.equal(await client.ready, SID);
    assert.equal(page.storage.items.size, 0);
  });
}

test("a sessionStorage that may not even be touched is harmless", async (t) => {
  const page = new Page(t);
  page.define(t, "sessionStorage", { get: BLOCKED });
  const client = page.open();
  page.socket.welcomes(SID);
  assert.equal(await client.ready, SID);
});
