// The wish to stop a job: it leaves at once, or not at all.

import assert from "node:assert/strict";
import { test } from "node:test";

import { OTHER, SID, Page, openPage } from "./page.mjs";

const wishes = (page) => page.socket.of("cancel").map(({ sid, key }) => ({ sid, key }));

test("a cancel names the key, of the own session or of another", (t) => {
  const { page, client } = openPage(t);
  client.follow(OTHER);
  page.socket.says({ type: "followed", sid: OTHER });
  assert.equal(client.cancel("report"), true);
  assert.equal(client.cancel("report", OTHER), true);
  assert.deepEqual(wishes(page), [
    { sid: SID, key: "report" },
    { sid: OTHER, key: "report" },
  ]);
});

test("a cancel that cannot leave now never does", (t) => {
  const page = new Page(t);
  const client = page.open({ sid: SID });
  assert.equal(client.cancel("report"), false, "connecting");
  page.socket.welcomes(SID);
  assert.equal(client.cancel("report", OTHER), false, "not followed");
  client.follow(OTHER);
  assert.equal(client.cancel("report", OTHER), false, "not confirmed");
  page.socket.closes();
  assert.equal(client.cancel("report"), false, "waiting");
  page.clock.advance(1_000);
  page.socket.welcomes(SID);
  assert.deepEqual(wishes(page), []);
  client.close();
  assert.equal(client.cancel("report"), false, "closed");
});

test("somebody who cancels again and again is not thrown out by the server", (t) => {
  const { page, client } = openPage(t);
  page.answersPings = true;
  const sent = () => Array.from({ length: 200 }, () => client.cancel("report")).filter(Boolean);
  assert.equal(sent().length, 80);
  page.clock.advance(11_000);
  assert.equal(sent().length, 80);
});

test("that nobody listens is told as it comes", (t) => {
  const { page, client } = openPage(t);
  client.cancel("report");
  const error = { type: "error", code: "nobody_listens", sid: SID, key: "report", detail: "no" };
  page.socket.says(error);
  assert.deepEqual(page.details("error"), [error]);
  assert.equal(client.state, "open");
});
