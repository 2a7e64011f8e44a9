// `for await`, `signal`, and the addresses that a client finds by itself.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";

import { quiet } from "./node.mjs";
import { OTHER, Page, SID, message, openPage } from "./page.mjs";

/** Run a loop over the frames; `take` may say `true` to leave it. */
function loop(client, take) {
  const outcome = { isOver: false };
  outcome.promise = (async () => {
    for await (const frame of client) if (await take(frame)) break;
    outcome.isOver = true;
  })();
  outcome.promise.catch(() => {});
  return outcome;
}

test("the loop gets the message frames, and ends with the client", async (t) => {
  const { page, client } = openPage(t);
  const frames = [];
  const outcome = loop(client, (frame) => void frames.push(frame));
  page.socket.says(message("p-1"));
  await quiet();
  page.socket.says({ type: "gap", sid: SID });
  page.socket.says(message("p-2"));
  page.socket.says(message("p-2"));
  await quiet();
  assert.deepEqual(frames, [message("p-1"), message("p-2")]);
  page.socket.says(message("p-3"));
  client.close();
  await outcome.promise;
  assert.equal(frames.length, 3, "what has come is had before the end");
});

test("it goes on through a reconnect", async (t) => {
  const { page, client } = openPage(t);
  const seen = [];
  const outcome = loop(client, ({ id }) => void seen.push(id));
  page.socket.says(message("p-1"));
  page.socket.closes();
  page.clock.advance(1_000);
  page.socket.welcomes(SID);
  for (const id of ["p-1", "p-2"]) page.socket.says(message(id));
  await quiet();
  assert.deepEqual(seen, ["p-1", "p-2"]);
  assert.equal(outcome.isOver, false);
});

test("it throws what the server has refused the client with", async (t) => {
  const { page, client } = openPage(t);
  const seen = [];
  const outcome = loop(client, ({ id }) => void seen.push(id));
  page.socket.says(message("p-1"));
  page.socket.closes(4403, "not for you");
  await assert.rejects(outcome.promise, { message: "refused: 4403 not for you" });
  assert.deepEqual(seen, ["p-1"]);
  await assert.rejects(loop(client, () => {}).promise, { message: "refused: 4403 not for you" });
});

test("a loop that is left listens no more, and another one can begin", async (t) => {
  const { page, client } = openPage(t);
  const listeners = () => getEventListeners(client, "message").length;
  const before = listeners();
  const outcome = loop(client, () => true);
  page.socket.says(message("p-1"));
  await outcome.promise;
  assert.equal(listeners(), before);
  const seen = [];
  loop(client, ({ id }) => void seen.push(id));
  page.socket.says(message("p-2"));
  await quiet();
  assert.deepEqual(seen, ["p-2"]);
  client.close();
  await quiet();
  assert.equal(listeners(), before);
});

test("two loops each get everything", async (t) => {
  const { page, client } = openPage(t);
  const seen = [[], []];
  for (const list of seen) loop(client, ({ id }) => void list.push(id));
  for (const id of ["p-1", "p-2"]) page.socket.says(message(id));
  await quiet();
  assert.deepEqual(seen, [
    ["p-1", "p-2"],
    ["p-1", "p-2"],
  ]);
});

test("a slow loop gets the newest of each key, behind what came before it", async (t) => {
  const { page, client } = openPage(t);
  client.follow(OTHER);
  page.socket.says({ type: "followed", sid: OTHER });
  const seen = [];
  let go;
  loop(client, async ({ id, sid }) => {
    seen.push([sid, id]);
    await new Promise((resolve) => (go = resolve));
  });
  page.socket.says(message("p-1"));
  await quiet();
  page.socket.says({ ...message("p-2"), key: "a" });
  page.socket.says({ ...message("p-1", 1, OTHER), key: "a" });
  page.socket.says(message("p-3"));
  page.socket.says({ ...message("p-4"), key: "b" });
  page.socket.says({ ...message("p-5"), key: "a", final: true });
  for (let i = 0; i < 6; i++) {
    go();
    await quiet();
  }
  assert.deepEqual(seen, [
    [SID, "p-1"],
    [OTHER, "p-1"],
    [SID, "p-3"],
    [SID, "p-4"],
    [SID, "p-5"],
  ]);
  assert.deepEqual(page.details("gap"), []);
});

test("a loop that is 1,024 frames behind loses the oldest, and that is told", async (t) => {
  const { page, client } = openPage(t);
  const seen = [];
  let go;
  loop(client, async ({ id }) => {
    seen.push(id);
    if (!go) await new Promise((resolve) => (go = resolve));
  });
  page.socket.says(message("p-1"));
  await quiet();
  for (let i = 2; i <= 1025; i++) page.socket.says(message(`p-${i}`));
  assert.deepEqual(page.details("gap"), []);
  page.socket.says(message("p-1026"));
  page.socket.says({ ...message("p-1027"), key: "k" });
  assert.deepEqual(page.details("gap"), Array(2).fill({ type: "gap", sid: SID }));
  go();
  for (let i = 0; i < 200; i++) await quiet();
  assert.equal(seen.length, 1025);
  assert.deepEqual(seen.slice(0, 2), ["p-1", "p-4"]);
  assert.equal(seen.at(-1), "p-1027");
});

test("a signal closes the client, and the loop ends quietly", async (t) => {
  const controller = new AbortController();
  const { page, client } = openPage(t, { signal: controller.signal });
  const outcome = loop(client, () => {});
  controller.abort();
  assert.equal(client.state, "closed");
  await outcome.promise;
  assert.equal(page.clock.pending, 0);
  assert.deepEqual(page.details("error"), []);
});

test("with a signal that was given before, nothing is opened at all", async (t) => {
  const page = new Page(t);
  const client = page.open({ signal: AbortSignal.abort() });
  assert.equal(client.state, "closed");
  assert.equal(page.sockets.length, 0);
  assert.equal(page.clock.pending, 0);
  assert.equal(page.listeners, 0);
  await assert.rejects(client.ready);
});

test("a closed client is not kept by its signal", (t) => {
  const controller = new AbortController();
  const { client } = openPage(t, { signal: controller.signal });
  client.close();
  assert.equal(getEventListeners(controller.signal, "abort").length, 0);
});
