// Anything in any order: messages, ends, faults of the way, wakes, follows. Whatever happens, each
// session's messages are told once, in their publisher's order, and in the end all of them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { openOn, pass } from "./node.mjs";
import { CLIENT, SID } from "./page.mjs";

await import(CLIENT.replace("progress-ws", "progress-http"));

const STEPS = 120;
const SEEDS = 12;
const SIDS = [SID, ...Array.from({ length: 5 }, (_, i) => `sid-of-job-number-${1000 + i}`)];

/** Numbers from 0 to below 1, the same ones for the same seed (mulberry32). */
function chance(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), 1 | state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What the client has told of each session, since it was followed last. */
class Ledger {
  told = new Map();
  wrong = []; // asserted at the end: what a listener throws ends no test

  constructor(client) {
    client.addEventListener("message", ({ detail: { sid, id } }) => {
      const seen = this.told.get(sid);
      if (!seen) return this.wrong.push(`told of ${sid}, which is not followed`);
      const [publisher, seq] = id.split("-");
      const before = seen.findLast((other) => other.startsWith(`${publisher}-`));
      if (before && Number(seq) <= Number(before.split("-")[1])) {
        this.wrong.push(`${id} behind ${before}`);
      }
      seen.push(id);
    });
  }

  follow(sid) {
    if (!this.told.has(sid)) this.told.set(sid, []);
  }
}

async function live(t, seed, transports) {
  const random = chance(seed);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const { page, node, client } = openOn(t, { sid: SID, random, transports });
  const ledger = new Ledger(client);
  node.repeats = () => random() < 0.3;
  const numbers = { a: 0, b: 0, c: 0 };
  ledger.follow(SID);
  const steps = {
    publish() {
      for (let count = random() * 8; count > 0; count--) {
        const publisher = pick(Object.keys(numbers));
        node.publish(pick(SIDS), { message: 0, id: `${publisher}-${++numbers[publisher]}` });
      }
    },
    follow() {
      const sid = pick(SIDS);
      ledger.follow(sid);
      client.follow(sid);
    },
    unfollow() {
      const sid = pick(SIDS);
      ledger.told.delete(sid);
      client.unfollow(sid);
    },
    cut: () => node.cut(pick([1006, 1011, 1012, 4001])),
    down() {
      node.isUp = false;
      node.cut();
    },
    up: () => (node.isUp = true),
    block: () => node.blocks.add(pick(["websocket", "sse"])),
    unblock: () => node.blocks.clear(),
    wake: () => page.happens(pick(["visibilitychange", "online", "pageshow"])),
    sleep: () => page.happens(pick(["pagehide", "offline"])),
    hide: () => (page.document.hidden = random() < 0.5),
  };
  for (let step = 0; step < STEPS; step++) {
    steps[pick(["publish", "publish", "publish", ...Object.keys(steps)])]();
    await pass(page, pick([0, 5, 20, 100, 700, 3_000]), 250);
  }
  node.isUp = true;
  node.blocks.clear();
  page.document.hidden = false;
  page.happens("online");
  await pass(page, 40_000, 500);
  assert.deepEqual(ledger.wrong, []);
  assert.equal(client.state, "open");
  for (const [sid, told] of ledger.told) {
    const all = (node.messages.get(sid) ?? []).map(({ id }) => id);
    assert.deepEqual([...told].sort(), all.sort(), `all of ${sid}`);
  }
  client.close();
  await pass(page, 100);
  assert.equal(page.clock.pending, 0);
}

for (const transports of [["websocket"], ["sse"], ["polling"], ["websocket", "sse", "polling"]]) {
  for (let seed = 1; seed <= SEEDS; seed++) {
    test(`${transports}, seed ${seed}`, (t) => live(t, seed, transports));
  }
}
