// What elements on the application's own client know of its sessions, without a page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { join } from "../../progress_ws/client/src/live-hub.js";

const sidOf = (n) => `sid-of-a-job-number-${n}`;

/** A client in the test's hands. */
function scripted() {
  const say = (n, state) => {
    const message = { kind: "progress", state };
    const detail = { type: "message", sid: sidOf(n), key: "job", run: "1", message };
    client.dispatchEvent(Object.assign(new Event("message"), { detail }));
  };
  const client = Object.assign(new EventTarget(), { follow() {}, say });
  return client;
}

/** As an element that comes, and what takes it away. */
function show(client, n) {
  const element = { _sid: sidOf(n), _bars: new Map(), _hear() {} };
  const leave = join(element, client, null, sidOf(n));
  return { leave, state: () => element._bars.get("job")?.state };
}

test("what comes while no element shows a session is known to the next one", () => {
  const client = scripted();
  const first = show(client, 1);
  client.say(1, "running");
  assert.equal(first.state(), "running");
  first.leave();
  client.say(1, "done");
  assert.equal(show(client, 1).state(), "done");
});

test("of too many sessions the oldest that no element shows are forgotten", () => {
  const client = scripted();
  const kept = show(client, 0);
  for (let n = 1; n <= 300; n++) {
    const { leave } = show(client, n);
    client.say(n, "running");
    leave();
  }
  client.say(0, "done");
  assert.equal(kept.state(), "done");
  assert.equal(client.live.known.size, 256);
  assert.equal(show(client, 1).state(), undefined);
  assert.equal(show(client, 300).state(), "running");
});
