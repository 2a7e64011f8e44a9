// Numbers, sizes, times and texts in several languages.

import assert from "node:assert/strict";
import { test } from "node:test";

import { wordsOf } from "../../progress_ws/client/src/live-words.js";
import chinese from "../../progress_ws/client/src/progress-live-zh.js";

/** What is said of a bar that runs, or stands otherwise. */
function said(bar, texts, state = "running", now = 0) {
  const [, , describe] = wordsOf(texts);
  return describe(bar, state, undefined, now);
}

test("numbers and sizes are written as the language of the texts does", () => {
  const german = { lang: "de", count: "{current} von {total}" };
  const rows = { current: 1_234, total: 1_234_567, unit: "Zeilen" };
  assert.equal(said(rows, german).count, "1.234 von 1.234.567 Zeilen");
  assert.equal(said({ current: 1_250_000, unit: "B" }, german).count, "1,2 MB");
  assert.equal(said({ current: 429, total: 1_000 }, german).percent, "42\u00a0%");
  assert.equal(said({ current: 1_234 }).count, "1,234");
});

test("sizes grow with what they measure", () => {
  const sizes = [0.5, 999, 1_000, 999_999, 1e6, 5.55e9, 1e12, 9.99e14, 1e15 - 1];
  assert.deepEqual(
    sizes.map((current) => said({ current, unit: "B" }).count),
    ["0.5 B", "999 B", "1 kB", "999.9 kB", "1 MB", "5.5 GB", "1 TB", "999 TB", "999.9 TB"],
  );
});

test("what is a percentage already is told once", () => {
  const { percent, count, rate } = said({ current: 30, total: 100, unit: "%", rate: 0.6 });
  assert.deepEqual([percent, count, rate].filter(Boolean), ["30%"]);
});

test("times are told in one unit", () => {
  const silent = (seconds) => said({ _silent: 0 }, undefined, "stalled", seconds).status;
  assert.deepEqual(
    [0, 59.9, 60, 95, 3_600, 100_000].map(silent),
    ["0 sec", "59 sec", "1 min", "1.5 min", "1 hr", "27.7 hr"].map((time) => `No news for ${time}`),
  );
});

test("texts are replaced one by one: templates or functions", () => {
  const own = { done: "Ready", count: ({ current, total }) => `${current}/${total}`, cancel: null };
  const [say, number] = wordsOf(own);
  assert.equal(say("done"), "Ready");
  assert.equal(say("failed"), "Failed");
  assert.equal(say("cancel"), "Cancel");
  assert.equal(say("count", { current: "1", total: "{current} $1" }), "1/{current} $1");
  assert.equal(number(1_234), "1,234");
});

test("a value is no template", () => {
  const [say] = wordsOf();
  assert.equal(say("count", { current: "{total}$&", total: "2" }), "{total}$& of 2");
});

test("Chinese has every text, in both scripts", () => {
  const [simplified, traditional] = [chinese("zh-CN"), chinese("zh-TW")];
  assert.equal(simplified.failed, "失败");
  assert.equal(traditional.failed, "失敗");
  for (const lang of ["zh", "zh_CN", "zh-", "zhong"]) assert.equal(chinese(lang), simplified);
  for (const lang of ["zh-Hant", "zh-HK"]) assert.equal(chinese(lang), traditional);
  assert.deepEqual(Object.keys(simplified), Object.keys(traditional));
  const running = said({ _due: 42, current: 1, total: 2, unit: "行" }, simplified);
  assert.equal(running.eta, "剩余 42秒");
  assert.equal(running.count, "1 / 2 行");
});

test("the modules can be imported where there is no page", async () => {
  const { ProgressLive } = await import("../../progress_ws/client/progress-live.js");
  assert.equal(typeof ProgressLive, "function");
});
