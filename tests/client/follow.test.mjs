// Many sessions over one socket, and where each is resumed after a loss.

import assert from "node:assert/strict";
import { test } from "node:test";

import { OTHER, SID, Page, message, openPage } from "./page.mjs";

const sids = (count) => Array.from({ length: count }, (_, i) => `sid-of-job-number-${1000 + i}`);

function reconnect(page, sid = SID) {
  page.socket.closes();
  page.clock.advance(1_000);
  page.socket.welcomes(sid);
}

test("a reconnect resumes after the last message of each publisher", (t) => {
  const { page } = openPage(t);
  for (const id of ["a-1", "b-7", "a-2"]) page.socket.says(message(id));
  page.socket.closes();
  page.clock.advance(1_000);
  assert.equal(page.socket.url.search, `?sid=${SID}&after=b-7,a-2`);
});

test("what comes again after the reconnect is dropped, and recovered is told", (t) => {
  const { page } = openPage(t);
  page.socket.says(message("a-1"));
  page.socket.closes();
  page.clock.advance(1_000);
  page.socket.welcomes(SID, { recovered: false });
  page.socket.says(message("a-1"));
  page.socket.says(message("a-2"));
  assert.deepEqual(page.messages, ["a-1", "a-2"]);
  assert.equal(page.details("welcome")[1].recovered, false);
});

test("the address holds the 64 publishers heard last, and stays short", (t) => {
  const { page } = openPage(t);
  const id = (i) => `${String(i).padStart(64, "~")}-9007199254740991`;
  for (let i = 0; i < 100; i++) page.socket.says(message(id(i)));
  page.socket.says(message(id(5))); // an old one again makes its publisher no fresher
  page.socket.closes();
  page.clock.advance(1_000);
  const after = page.socket.url.searchParams.get("after").split(",");
  assert.deepEqual(
    after,
    Array.from({ length: 64 }, (_, i) => id(i + 36)),
  );
  assert(page.socket.url.search.length < 6_000, String(page.socket.url.search.length));
});

test("a follow before the welcome leaves with it", (t) => {
  const page = new Page(t);
  const client = page.open();
  client.follow(OTHER);
  assert.deepEqual(page.socket.sent, []);
  page.socket.welcomes(SID);
  assert.deepEqual(
    page.socket.sent.map(({ type, sid, after }) => [type, sid, after]),
    [["follow", OTHER, undefined]],
  );
});

test("a session is followed once, however often it is asked for", (t) => {
  const { page, client } = openPage(t);
  client.follow(OTHER);
  client.follow(OTHER);
  client.follow(SID);
  assert.equal(page.socket.sent.length, 1);
});

test("sessions are followed again after a reconnect, each after its own position", (t) => {
  const { page, client } = openPage(t, { sid: "" });
  for (const sid of [SID, OTHER]) {
    client.follow(sid);
    page.socket.says({ type: "followed", sid });
  }
  page.socket.says(message("p-3", "x", SID));
  page.socket.says(message("p-8", "y", OTHER));
  page.socket.says(message("q-1", "z", OTHER));
  reconnect(page, undefined);
  assert.equal(page.socket.url.search, "?sid=");
  assert.deepEqual(
    page.socket.sent.map(({ sid, after }) => [sid, after]),
    [
      [SID, ["p-3"]],
      [OTHER, ["p-8", "q-1"]],
    ],
  );
});

test("an unfollowed session is left, its stragglers are dropped, and it stays left", (t) => {
  const { page, client } = openPage(t);
  client.follow(OTHER);
  page.socket.says({ type: "followed", sid: OTHER });
  client.unfollow(OTHER);
  assert.equal(page.socket.of("unfollow")[0].sid, OTHER);
  page.socket.says(message("p-1", "late", OTHER));
  assert.deepEqual(page.messages, []);
  client.follow("sid-of-a-third-job-00003");
  assert.equal(page.socket.of("unfollow").length, 1);
  client.unfollow("sid-of-a-third-job-00003");
  reconnect(page);
  assert.deepEqual(page.socket.sent, []);
});

test("a session that is followed anew is had from the start, without the stragglers", (t) => {
  const { page, client } = openPage(t);
  client.follow(OTHER);
  page.socket.says({ type: "followed", sid: OTHER });
  client.unfollow(OTHER);
  client.follow(OTHER);
  assert.equal(page.socket.sent.at(-1).after, undefined);
  page.socket.says(message("p-3", "straggler", OTHER));
  page.socket.says({ type: "unfollowed", sid: OTHER });
  page.socket.says({ type: "followed", sid: OTHER });
  for (const id of ["p-1", "p-2", "p-3"]) page.socket.says(message(id, id, OTHER));
  assert.deepEqual(page.messages, ["p-1", "p-2", "p-3"]);
});

test("the client's own session can be left too, and taken up again", (t) => {
  const { page, client } = openPage(t);
  client.unfollow(SID);
  assert.equal(page.socket.of("unfollow")[0].sid, SID);
  reconnect(page, undefined);
  assert.equal(page.socket.url.search, "?sid=");
  client.follow(SID);
  assert.equal(page.socket.of("follow")[0].sid, SID);
  reconnect(page);
  assert.equal(page.socket.url.search, `?sid=${SID}`);
});

test("the client's own session, left before the welcome, is left right after it", (t) => {
  const page = new Page(t);
  const client = page.open({ sid: SID });
  client.unfollow(SID);
  page.socket.welcomes(SID);
  assert.deepEqual(
    page.socket.sent.map(({ type, sid }) => [type, sid]),
    [["unfollow", SID]],
  );
});

for (const code of ["bad_sid", "bad_after", "too_many_follows"]) {
  test(`a follow refused with ${code} is told and not asked again`, (t) => {
    const { page, client } = openPage(t);
    client.follow(OTHER);
    page.socket.says({ type: "error", code, detail: "no", sid: OTHER });
    assert.equal(page.details("error")[0].code, code);
    client.unfollow("sid-of-nobody-0000000000");
    assert.equal(page.socket.sent.length, 1);
    reconnect(page);
    assert.deepEqual(page.socket.sent, []);
    assert.equal(page.socket.url.searchParams.get("sid"), SID);
  });
}

test("an error about something else costs no session", (t) => {
  const { page, client } = openPage(t);
  client.follow(OTHER);
  page.socket.says({ type: "error", code: "nobody_listens", detail: "", sid: OTHER, key: "k" });
  reconnect(page);
  assert.equal(page.socket.of("follow").length, 1);
});

test("256 follows keep the server's limit of 100 frames in 10 s, and all leave", (t) => {
  const page = new Page(t);
  page.answersPings = true;
  const client = page.open({ sid: "" });
  for (const sid of sids(256)) client.follow(sid);
  page.socket.welcomes(undefined);
  assert(page.socket.sent.length >= 64, "the first ones leave at once");
  for (let i = 0; i < 10; i++) client.unfollow(OTHER);
  assert(page.clock.pending <= 2, `${page.clock.pending} timers`);
  page.clock.advance(60_000);
  assert.deepEqual(
    page.socket.of("follow").map(({ sid }) => sid),
    sids(256),
  );
  assertWithinLimit(page.socket.sent);
});

test("an application that changes its mind all the time keeps the limit too", (t) => {
  const { page, client } = openPage(t, { sid: "" });
  page.answersPings = true;
  for (let round = 0; round < 300; round++) {
    for (const sid of sids(5)) client.follow(sid);
    page.clock.advance(50);
    for (const sid of sids(5)) client.unfollow(sid);
    page.clock.advance(50);
  }
  client.follow(OTHER);
  page.clock.advance(30_000);
  assertWithinLimit(page.socket.sent);
  const attached = new Set();
  for (const { type, sid } of page.socket.sent) {
    if (type === "follow") attached.add(sid);
    if (type === "unfollow") attached.delete(sid);
  }
  assert.deepEqual([...attached], [OTHER]);
});

test("a session followed anew before its unfollow could leave is asked for from the start", (t) => {
  const { page, client } = openPage(t, { sid: "" });
  page.answersPings = true;
  for (const sid of sids(80)) client.follow(sid);
  const [sid] = sids(1);
  page.socket.says({ type: "followed", sid });
  page.socket.says(message("p-9", "x", sid));
  client.unfollow(sid);
  client.follow(sid);
  page.clock.advance(11_000);
  const follows = page.socket.of("follow").filter((frame) => frame.sid === sid);
  assert.deepEqual(
    follows.map(({ after }) => after),
    [undefined, undefined],
  );
  assert.equal(page.socket.of("unfollow").length, 0);
});

test("a new socket starts with a new allowance", (t) => {
  const { page, client } = openPage(t, { sid: "" });
  for (const sid of sids(80)) client.follow(sid);
  reconnect(page, undefined);
  assert.equal(page.socket.of("follow").length, 80);
});

test("a follow that resumes after very many publishers stays below 16 KiB", (t) => {
  const { page, client } = openPage(t, { sid: "" });
  const sid = "s".repeat(128);
  client.follow(sid);
  page.socket.says({ type: "followed", sid });
  for (let i = 0; i < 3_000; i++) {
    page.socket.says(message(`${String(i).padStart(64, "p")}-9007199254740991`, i, sid));
  }
  reconnect(page, undefined);
  const [{ after, bytes }] = page.socket.of("follow");
  assert(bytes <= 16 * 1024, `${bytes} bytes`);
  assert(after.length >= 128);
  assert.equal(after.at(-1), `${"2999".padStart(64, "p")}-9007199254740991`);
});

function assertWithinLimit(sent) {
  for (const [i, { atMs }] of sent.entries()) {
    const inTenSeconds = sent.slice(i).filter((frame) => frame.atMs < atMs + 10_000);
    assert(inTenSeconds.length <= 95, `${inTenSeconds.length} frames in the 10 s from ${atMs} ms`);
  }
}
