// What an update says: without a page, a clock or a network.

import assert from "node:assert/strict";
import { test } from "node:test";

import { find, partsOf, take } from "../../progress_ws/client/src/live-bar.js";
import { wordsOf } from "../../progress_ws/client/src/live-words.js";

const [, , describe] = wordsOf();
const RUNNING = { kind: "progress", state: "running" };

/** What is known after these frames. */
function barsWith(...frames) {
  const bars = new Map();
  for (const { at = 0, ...frame } of frames) take(bars, { key: "job", ...frame }, at);
  return bars;
}

/** What is shown of the last of these messages of one run. */
function said(messages, { run = "1", now = 0 } = {}) {
  const frames = [messages].flat().map((message) => ({ run: run ?? undefined, message }));
  const bar = find(barsWith(...frames));
  return describe(bar, bar.state, undefined, now);
}

test("an update is told in words", () => {
  const update = { ...RUNNING, title: "Report", phase: "Reading", current: 9_999, total: 100_000 };
  const { label, phase, percent, count, rate, eta, status } = said({
    ...update,
    unit: "rows",
    rate: 24_213.4,
    eta_s: 3.7,
  });
  assert.deepEqual(
    [label, phase, percent, count, rate, eta, status],
    ["Report", "Reading", "9%", "9,999 of 100,000 rows", "24,213.4 rows/s", "4 sec left", false],
  );
});

test("bytes are told in the size that fits", () => {
  const { count, rate } = said({ ...RUNNING, current: 999, total: 1.25e9, unit: "B", rate: 1e6 });
  assert.equal(count, "999 B of 1.2 GB");
  assert.equal(rate, "1 MB/s");
  assert.equal(said({ ...RUNNING, current: 0, unit: "B", total: 1000 }).count, "0 B of 1 kB");
});

test("a percentage is no count", () => {
  const shown = said({ ...RUNNING, current: 30, unit: "%", rate: 0.6, eta_s: 8 });
  assert.equal(shown.percent, "30%");
  assert.equal(shown.count, false);
});

test("nothing is complete before it is done", () => {
  for (const current of [995, 999.999, 1000, 5000]) {
    for (const state of ["running", "queued", "failed", "cancelled"]) {
      const { percent, fraction } = said({ ...RUNNING, state, current, total: 1000 });
      assert.equal(percent, "99%");
      assert(fraction < 1);
    }
  }
  const { percent, fraction, count } = said({ ...RUNNING, state: "done", current: 9, total: 10 });
  assert.deepEqual([percent, fraction, count], ["100%", 1, "9 of 10"]);
  assert.equal(said({ ...RUNNING, state: "done", total: 10 }).count, "10 of 10");
});

test("percentages are rounded down, whatever the digits", () => {
  for (let hundredth = 0; hundredth < 100; hundredth++)
    assert.equal(said({ ...RUNNING, current: hundredth, total: 100 }).percent, `${hundredth}%`);
  assert.equal(said({ ...RUNNING, current: 28.9999, total: 100 }).percent, "28%");
});

test("without a total it is open how far it is", () => {
  for (const total of [undefined, 0, -5, NaN, "9", null, {}, 1e300]) {
    const shown = said({ ...RUNNING, current: 7, total });
    assert.equal(shown.fraction, undefined);
    assert.equal(shown.percent, false);
    assert.equal(shown.count, "7");
  }
});

test("a count does not go back within a run", () => {
  const at = (current, rest) => ({ ...RUNNING, current, total: 100, ...rest });
  assert.equal(said([at(50), at(40)]).percent, "50%");
  assert.equal(said([at(50), at(40, { phase: "Writing" })]).percent, "40%");
  assert.equal(said([at(50), at(40, { total: 1000 })]).percent, "4%");
  assert.equal(said([at(50), { ...RUNNING, state: "failed", error: "no" }]).percent, "50%");
  // Without runs a job that begins anew cannot be told from one that goes back.
  assert.equal(said([at(50), at(40)], { run: null }).percent, "40%");
});

test("an end forgets nothing but the phase", () => {
  const update = { ...RUNNING, title: "Report", phase: "Reading", current: 5, total: 10 };
  const { label, phase, count, error } = said([update, { ...RUNNING, state: "failed", error: "no" }]);
  assert.deepEqual([label, phase, count, error], ["Report", undefined, "5 of 10", "no"]);
});

test("a greater run begins anew, and a lesser one is not heard", () => {
  const bars = barsWith(
    { run: "2", message: { ...RUNNING, current: 50, total: 100 } },
    { run: "1", message: { ...RUNNING, current: 90, total: 100 } },
  );
  assert.equal(find(bars).current, 50);
  take(bars, { key: "job", run: "3", message: { ...RUNNING, current: 1, total: 100 } }, 0);
  assert.equal(find(bars).current, 1);
});

test("an end stays until a greater run, or news without a run", () => {
  const bars = barsWith({ run: "1", message: { ...RUNNING, state: "done" } });
  take(bars, { key: "job", run: "1", message: RUNNING }, 0);
  assert.equal(find(bars).state, "done");
  take(bars, { key: "job", message: RUNNING }, 0);
  assert.equal(find(bars).state, "running");
  take(bars, { key: "job", run: "2", message: { ...RUNNING, state: "failed" } }, 0);
  take(bars, { key: "job", run: "3", message: RUNNING }, 0);
  assert.equal(find(bars).state, "running");
});

test("silence is told until there is news", () => {
  const bars = barsWith({ message: { ...RUNNING, current: 1, total: 2 } });
  take(bars, { key: "job", silent_s: 12.4 }, 100);
  assert.equal(find(bars).state, "stalled");
  const shown = (now) => describe(find(bars), "stalled", undefined, now).status;
  assert.equal(shown(100), "No news for 12 sec");
  assert.equal(shown(103), "No news for 15 sec");
  take(bars, { key: "job", message: RUNNING }, 104);
  assert.equal(find(bars).state, "running");
  take(bars, { key: "unknown", silent_s: 1 }, 0);
});

test("what has ended is never silent", () => {
  const bars = barsWith({ message: { ...RUNNING, state: "done" } });
  take(bars, { key: "job", silent_s: 12 }, 0);
  assert.equal(find(bars).state, "done");
});

test("the time left goes down, and is never below zero", () => {
  const bars = barsWith({ run: "1", message: { ...RUNNING, eta_s: 100 } });
  const left = (now) => describe(find(bars), "running", undefined, now).eta;
  assert.deepEqual(
    [0, 10.5, 45, 99.2, 100, 500].map(left),
    ["1.6 min left", "1.5 min left", "55 sec left", "1 sec left", false, false],
  );
  assert.equal(said({ ...RUNNING, eta_s: 3.6e9 }).eta, "1,000,000 hr left");
  assert.equal(said({ ...RUNNING, current: 1, total: 9 }).eta, false);
});

test("without a key the newest bar that is no part of another is found", () => {
  const message = (parent) => ({ ...RUNNING, parent });
  const bars = barsWith(
    { key: "a", run: "1", message: message() },
    { key: "b", run: "2", message: message() },
    { key: "b/1", run: "2", message: message("b") },
    { key: "a", run: "1", message: message() },
  );
  assert.equal(find(bars).key, "b");
  assert.equal(find(bars, "a").key, "a");
  assert.equal(find(bars, "none"), undefined);
  take(bars, { key: "a", run: "3", message: message() }, 0);
  assert.equal(find(bars).key, "a");
});

test("parts come in the order in which they began, those that have not last", () => {
  const part = (ts, elapsed_s, parent = "job") => ({ ts, message: { ...RUNNING, parent, elapsed_s } });
  const bars = barsWith(
    { key: "b", ...part(100, undefined) },
    { key: "c", ...part(110, 20, "a") },
    { key: "a", ...part(120, 60) },
    { key: "job", message: RUNNING },
    { key: "other", message: RUNNING },
  );
  const keys = () => partsOf(bars, bars.get("job")).map(({ key }) => key);
  assert.deepEqual(keys(), ["a", "c", "b"]);
  take(bars, { key: "b", ...part(130, 75) }, 0);
  assert.deepEqual(keys(), ["b", "a", "c"]);
  take(bars, { key: "b", ...part(130, 1) }, 0);
  assert.deepEqual(keys(), ["b", "a", "c"]);
});

test("a part of a lesser run belongs to another whole", () => {
  const bars = barsWith(
    { key: "old", run: "1", message: { ...RUNNING, parent: "job" } },
    { key: "new", run: "2", message: { ...RUNNING, parent: "job" } },
    { key: "job", run: "2", message: RUNNING },
  );
  assert.deepEqual(partsOf(bars, bars.get("job")).map(({ key }) => key), ["new"]);
});

test("bars that are parts of one another are found by their keys alone", () => {
  const bars = barsWith(
    { key: "a", message: { ...RUNNING, parent: "b" } },
    { key: "b", message: { ...RUNNING, parent: "a" } },
  );
  assert.equal(find(bars), undefined);
  assert.equal(find(bars, "b").key, "b");
  for (const bar of bars.values()) assert(partsOf(bars, bar).length < 3);
});

test("a bar is no part of itself", () => {
  const bars = barsWith({ message: { ...RUNNING, parent: "job" } });
  assert.equal(find(bars).key, "job");
  assert.deepEqual(partsOf(bars, find(bars)), []);
});

test("a bar without a key is nobody's whole", () => {
  const bars = barsWith({ key: undefined, message: RUNNING }, { message: RUNNING });
  assert.equal(find(bars).key, "job");
});

test("what is no progress update is nobody's", () => {
  for (const message of [5, "50 %", true, null, [], { kind: "other" }, { kind: "progress", state: "x" }])
    assert.equal(find(barsWith({ message })), undefined);
});

test("hostile values are not there, and text is cut", () => {
  const message = JSON.parse(
    `{"kind":"progress","state":"running","current":1e999,"total":-3,"unit":{},"title":{"a":1},
      "phase":["x"],"text":${JSON.stringify("x".repeat(1_000_000))},"rate":"NaN","eta_s":-1,
      "elapsed_s":1e300,"parent":"__proto__","attempt":{"valueOf":1,"toString":1},"error":{"trim":1},"__proto__":{"state":"done"}}`,
  );
  for (const key of ["__proto__", "constructor", "toString"]) {
    const shown = describe(find(barsWith({ key, message }), key), "running");
    assert.equal(shown.text.length, 500);
    assert.equal(shown.label, "Progress");
    assert.equal(shown.bar, shown.text);
    assert.equal({}.state, undefined);
  }
});

test("of too many bars the oldest are forgotten", () => {
  const bars = new Map();
  for (let n = 0; n < 10_000; n++) take(bars, { key: `${n}`, message: RUNNING }, 0);
  assert.equal(bars.size, 2_000);
  assert.equal(find(bars).key, "9999");
});

test("a whole is kept longer than its parts, in circles, too", () => {
  const bars = barsWith({ message: RUNNING });
  const part = (n, parent) => take(bars, { key: `${n}`, message: { ...RUNNING, parent } }, 0);
  for (let n = 0; n < 3_000; n++) part(n, "job");
  assert.equal(bars.size, 2_000);
  assert.equal(find(bars).key, "job");
  assert.deepEqual([bars.has("1000"), bars.has("1001"), bars.has("2999")], [false, true, true]);
  for (let n = 0; n < 3_000; n++) part(n, `${(n + 1) % 2_001}`);
  assert.equal(bars.size, 2_000);
});
