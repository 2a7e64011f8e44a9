/** Twenty jobs at once: a tile for each, all on the page's one connection. */

import { onForgotten, progress } from "./connection.js";
import { Deed } from "./deed.js";
import { keep, recall } from "./kept.js";
import { requestErrands, requestSession } from "./upload.js";

const FINAL = new Set(["done", "failed", "cancelled"]);
const RATE_S = 3; // messages are counted over so long
const find = (selector) => document.querySelector(selector);

const startButton = find("#errands-start");
const list = find("#errands");
const deed = new Deed(find("#errands-deed"), find("#errands-notice"), "the twenty jobs", {
  kill: "Kill their worker",
  retry: "Try all again",
});
let tiles = new Map(); // sid -> <progress-live>
let arrivals = []; // when messages came, in ms
let isStarting = false; // asked for, and not answered yet

/** What was started last: `{id, sid, key, node, jobs: [{sid, title}]}`, or undefined. */
export let errands;

/** Bring back what this tab had before it was loaded anew. */
export function restore() {
  const kept = recall("errands");
  if (!kept) return;
  show(kept);
  onForgotten((sid) => {
    if (errands !== kept || !tiles.has(sid)) return;
    keep("errands", null);
    show({ jobs: [] });
  });
}

/** How many of them have not ended. */
export function countOfRunning() {
  return [...tiles.values()].filter(({ state }) => !FINAL.has(state)).length;
}

/** Whether their worker has fallen silent. */
export function isLost() {
  return [...tiles.values()].some(({ state }) => state === "stalled");
}

function show(started) {
  for (const sid of tiles.keys()) progress.unfollow(sid);
  errands = started;
  tiles = new Map(started.jobs.map(({ sid, title }) => [sid, tile(sid, started.key, title)]));
  list.replaceChildren(...[...tiles.values()].map(inItem));
  deed.about(started.id, started.sid);
  paint();
}

function tile(sid, key, title) {
  const live = document.createElement("progress-live");
  live.client = progress;
  live.setAttribute("label", title);
  live.setAttribute("key", key);
  live.setAttribute("sid", sid);
  return live;
}

function inItem(live) {
  const item = document.createElement("li");
  item.append(live);
  return item;
}

function paint() {
  const count = {};
  for (const { state } of tiles.values()) count[state] = (count[state] ?? 0) + 1;
  const isOver = !countOfRunning();
  deed.show({ isOver: isOver || !count.running && !count.stalled, isLost: isLost() });
  startButton.setAttribute("aria-disabled", String(isStarting || !isOver));
  const since = performance.now() - RATE_S * 1000;
  arrivals = arrivals.filter((at) => at > since);
  const rate = Math.round(arrivals.length / RATE_S);
  const words = Object.entries(count).map(([state, of]) => `${of} ${state}`);
  if (!isOver) words.push(`${rate} messages a second on one socket`);
  find("#errands-tally").textContent = words.join(" · ");
  find("#errands-tally").hidden = !tiles.size;
}

async function start() {
  if (startButton.getAttribute("aria-disabled") === "true") return;
  isStarting = true;
  paint();
  find("#errands-notice").textContent = "";
  try {
    const sid = await requestSession(); // whoever knows it may kill the worker
    const started = { sid, ...(await requestErrands(sid)) };
    keep("errands", started);
    isStarting = false;
    show(started);
  } catch (error) {
    isStarting = false;
    paint();
    find("#errands-notice").textContent = error.message;
  }
}

startButton.addEventListener("click", start);
list.addEventListener("statechange", paint);
progress.addEventListener("message", ({ detail }) => {
  if (tiles.has(detail.sid)) arrivals.push(performance.now());
});
setInterval(() => tiles.size && paint(), 1000);
