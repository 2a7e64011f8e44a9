/** The page: its connection, the reports, the nodes and the twenty jobs; and what the user does. */

import "/client/progress-live.js";
import { progress } from "./connection.js";
import * as errands from "./errands.js";
import { here } from "./nodes.js";
import * as reports from "./reports.js";
import { percentage } from "./wording.js";

const STATE_WORDS = {
  connecting: "Connecting…",
  open: "Live",
  waiting: "Reconnecting…",
  closed: "Not connected",
};
const CARRIERS = { websocket: "WebSocket", sse: "server-sent events", polling: "polling" };

const find = (selector) => document.querySelector(selector);
let messages = 0;
let newest; // frame

// Connection

function showConnection() {
  const { state } = progress;
  find("#connection").dataset.state = state;
  const isLive = state === "open" && here;
  find("#connection-text").textContent = isLive ? `Live · ${here}` : STATE_WORDS[state];
}

for (const type of ["state", "welcome"]) progress.addEventListener(type, showConnection);
progress.addEventListener("message", ({ detail }) => {
  messages += 1;
  newest = detail;
  paintSoon();
});
showConnection();

// Painting: once for each frame of the screen, however many messages came

let frame;

function paintSoon() {
  frame ??= requestAnimationFrame(paint);
}

function paint() {
  frame = undefined;
  if (find("#wire").open) paintWire();
  const running = reports.reports.filter(({ card }) => !card.isFinal && card.fraction !== undefined);
  const percent = running.length === 1 ? `${percentage(running[0].card.fraction)} · ` : "";
  document.title = `${percent}progress-ws`;
}

function paintWire() {
  find("#wire-node").textContent = here ?? "–";
  find("#wire-transport").textContent = CARRIERS[progress.transport];
  find("#wire-sessions").textContent = document.querySelectorAll("progress-live[sid]").length;
  find("#wire-count").textContent = messages.toLocaleString("en");
  if (!newest) return;
  const { sid, ...shown } = newest; // knowing it is the right to read: not for a screenshot
  find("#wire-frame").textContent = JSON.stringify({ sid: `${sid.slice(0, 6)}…`, ...shown }, null, 2);
}

document.addEventListener("statechange", paintSoon);
find("#wire").addEventListener("toggle", paintSoon);

// What the user does

function startFiles(files) {
  for (const file of files) reports.start({ file, title: file.name });
}

const drop = find("#drop");
let depth = 0; // of elements that the pointer has dragged into

find("#file").addEventListener("change", ({ target }) => {
  startFiles(target.files);
  target.value = ""; // the same file may be chosen again
});
for (const button of document.querySelectorAll("[data-sample]")) {
  const { sample, title } = button.dataset;
  button.addEventListener("click", () => reports.start({ sample, title }));
}

// A file that misses the zone must not replace the page.
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("dragenter", () => drop.classList.toggle("over", ++depth > 0));
addEventListener("dragleave", () => drop.classList.toggle("over", --depth > 0));
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  drop.classList.remove("over");
  startFiles(event.dataTransfer.files);
});

reports.restore();
errands.restore();
