// What reaches the application: each message once, whatever the server says.

import assert from "node:assert/strict";
import { test } from "node:test";

import { OTHER, SID, Page, message, openPage } from "./page.mjs";

test("a frame is the detail of an event of its type", (t) => {
  const { page } = openPage(t);
  const frames = [
    {
      type: "message",
      sid: SID,
      message: { rows: 10 },
      id: "p-1",
      ts: 1.5,
      key: "report",
      final: true,
    },
    { type: "gap", sid: SID },
    { type: "stalled", sid: SID, key: "report", silent_s: 31 },
    { type: "error", code: "bad_frame", detail: "no type" },
  ];
  for (const frame of frames) page.socket.says(frame);
  assert.deepEqual(
    page.events.slice(-4),
    frames.map((frame) => [frame.type, frame]),
  );
});

test("any JSON value is a message, as it is", (t) => {
  const { page } = openPage(t);
  const values = ["50 %", "", '"\\;;;\n\0', "进度 😀", 0, false, null, [], { a: [1] }];
  values.forEach((value, index) => page.socket.says(message(`p-${index + 1}`, value)));
  assert.deepEqual(page.messages, values);
});

test("a message that comes again is dropped, also when it comes from history", (t) => {
  const { page } = openPage(t);
  for (const id of ["p-1", "p-2", "p-2", "p-1", "p-4", "p-3"]) page.socket.says(message(id));
  page.socket.says({ ...message("p-4"), replay: true });
  assert.deepEqual(page.messages, ["p-1", "p-2", "p-4"]);
});

test("publishers are counted apart, and their names end at the last hyphen", (t) => {
  const { page } = openPage(t);
  for (const id of [
    "a-5",
    "a-1-4",
    "a-1-3",
    "a--9",
    "b-1",
    "a--9",
    "__proto__-2",
    "constructor-1",
    "__proto__-2",
  ]) {
    page.socket.says(message(id));
  }
  assert.deepEqual(page.messages, ["a-5", "a-1-4", "a--9", "b-1", "__proto__-2", "constructor-1"]);
});

test("of each session the 1,024 publishers heard last are remembered", (t) => {
  const { page } = openPage(t);
  const publishers = Array.from({ length: 1025 }, (_, i) => `p${i}`);
  for (const publisher of publishers) page.socket.says(message(`${publisher}-1`));
  for (const publisher of publishers.slice(1)) page.socket.says(message(`${publisher}-1`));
  assert.equal(page.messages.length, 1025);
  page.socket.says(message("p0-1"));
  assert.equal(page.messages.length, 1026);
});

test("sessions are counted apart", (t) => {
  const { page, client } = openPage(t);
  client.follow(OTHER);
  page.socket.says({ type: "followed", sid: OTHER });
  page.socket.says(message("p-2", "mine"));
  page.socket.says(message("p-1", "other's", OTHER));
  assert.deepEqual(page.messages, ["mine", "other's"]);
});

const NO_IDS = [
  undefined,
  null,
  7,
  "",
  "7",
  "p",
  "p-",
  "p-0",
  "p-01",
  "p-1.5",
  "p-1e3",
  "-1",
  "p q-1",
  {},
  [],
];
const NOT_COUNTABLE = [
  "p-9007199254740992",
  "p-9999999999999999",
  `p-${"9".repeat(400)}`,
  `${"p".repeat(65)}-1`,
];
for (const id of [...NO_IDS, ...NOT_COUNTABLE]) {
  test(`the id ${JSON.stringify(id)?.slice(0, 24)} is none, and such messages always pass`, (t) => {
    const { page } = openPage(t);
    page.socket.says(message(id, "first"));
    page.socket.says(message(id, "second"));
    page.socket.says(message("p-1", "third"));
    assert.deepEqual(page.messages, ["first", "second", "third"]);
    page.socket.closes();
    page.clock.advance(1_000);
    assert.equal(page.socket.url.searchParams.get("after"), "p-1");
  });
}

test("the largest number is a number", (t) => {
  const { page } = openPage(t);
  for (const seq of [2 ** 53 - 2, 2 ** 53 - 1, 2 ** 53 - 1]) page.socket.says(message(`p-${seq}`));
  assert.equal(page.messages.length, 2);
});

const HOSTILE = [
  "",
  "not JSON",
  "{",
  "null",
  "5",
  '"message"',
  "[]",
  "[[]]",
  "{}",
  '{"type":null}',
  '{"type":5}',
  '{"type":{}}',
  '{"type":"message"}',
  '{"type":"message","sid":5}',
  '{"type":"message","sid":"__proto__","message":1}',
  `{"type":"message","sid":["${SID}"],"message":1}`,
  '{"type":"__proto__"}',
  '{"type":"constructor"}',
  '{"type":"followed"}',
  '{"type":"followed","sid":{}}',
  '{"type":"error"}',
  '{"type":"error","code":{"a":1}}',
  '{"type":"error","code":"bad_sid","sid":"__proto__"}',
  '{"type":"state","state":"closed"}',
  '{"type":"close"}',
  '{"type":"welcome","sid":"another-sid-0000000000001"}',
  '{"type":"from-a-later-version"}',
  '{"__proto__":{"type":"message"}}',
  "[".repeat(20_000),
];
for (const text of HOSTILE) {
  test(`the frame ${text.slice(0, 60)} harms nothing`, (t) => {
    const { page, client } = openPage(t);
    page.socket.says(text);
    page.socket.onmessage({ data: new ArrayBuffer(8) });
    page.socket.says(message("p-1"));
    assert.deepEqual(page.messages, ["p-1"]);
    assert.equal(client.state, "open");
    assert.equal(client.sid, SID);
    assert.equal({}.type, undefined);
  });
}

for (const sid of [undefined, null, 5, "", "short", {}, "a b c d e f g h i j k l"]) {
  test(`a first welcome with the sid ${JSON.stringify(sid)} is none`, (t) => {
    const page = new Page(t);
    const client = page.open();
    page.socket.welcomes(sid);
    assert.equal(client.state, "connecting");
    assert.equal(page.storage.items.size, 0);
    page.clock.advance(4_000);
    assert.equal(client.state, "waiting");
  });
}

test("nothing counts before the welcome", (t) => {
  const page = new Page(t);
  page.open({ sid: SID });
  page.socket.says(message("p-1"));
  page.socket.welcomes(SID);
  page.socket.says(message("p-1"));
  assert.deepEqual(page.messages, ["p-1"]);
});
