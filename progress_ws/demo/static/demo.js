/** The page: one connection, a card for each job, a drop zone for new ones. */

import { ProgressClient } from "/client/progress-ws.js";
import { JobCard } from "./job-card.js";
import { requestJob } from "./upload.js";
import { percentage } from "./wording.js";

const MOST_CARDS = 30;
const STATE_WORDS = {
  connecting: "Connecting…",
  open: "Live",
  waiting: "Reconnecting…",
  closed: "Not connected",
};

const find = (selector) => document.querySelector(selector);
const progress = new ProgressClient();
const cards = new Map(); // key -> JobCard
const unpainted = new Set();
const early = new Map(); // key -> update that came before the answer to its request
let asking = 0; // requests without an answer yet
let messages = 0;
let newest; // frame
let node;

// Connection

progress.addEventListener("state", ({ detail }) => showConnection(detail.state));
progress.addEventListener("welcome", ({ detail }) => {
  node = detail.node;
  find("#wire-node").textContent = node;
  find("#wire-sid").textContent = `${progress.sid.slice(0, 6)}…`;
  showConnection("open");
});
progress.addEventListener("message", ({ detail }) => {
  messages += 1;
  newest = detail;
  if (detail.message?.kind === "progress") take(detail.key ?? "", detail.message);
  paintSoon();
});
showConnection(progress.state);

function showConnection(state) {
  find("#connection").dataset.state = state;
  const isLive = state === "open" && node;
  find("#connection-text").textContent = isLive ? `Live · ${node}` : STATE_WORDS[state];
}

// Jobs

function take(key, update) {
  const card = cards.get(key);
  if (card) show(card, update);
  else if (asking) early.set(key, update);
  else addCard(update, key);
}

function show(card, update) {
  const wasFinal = card.isFinal;
  card.show(update);
  if (card.isFinal && !wasFinal) tell(`${card.title}: ${update.error ?? update.state}`);
  unpainted.add(card);
  paintSoon();
}

function addCard(update, key) {
  const card = new JobCard(update);
  if (key !== undefined) cards.set(key, card);
  find("#jobs").prepend(card.element);
  find("#empty").hidden = true;
  forgetOldest();
  unpainted.add(card);
  paintSoon();
  return card;
}

function forgetOldest() {
  for (const [key, card] of cards) {
    if (cards.size <= MOST_CARDS) return;
    if (!card.isFinal) continue;
    card.element.remove();
    cards.delete(key);
  }
}

async function start({ file, sample, title }) {
  const uploading = { kind: "progress", state: "running", title, phase: file && "Uploading" };
  const card = addCard(uploading);
  const startedAt = performance.now();
  const onProgress = (loaded) => {
    const elapsed_s = (performance.now() - startedAt) / 1000;
    const pace = loaded / elapsed_s;
    const eta_s = elapsed_s > 1 ? (file.size - loaded) / pace : undefined;
    show(card, { ...uploading, current: loaded, total: file.size, unit: "B", rate: pace, eta_s });
  };
  asking += 1;
  try {
    const sid = await progress.ready;
    const { key, node: taker } = await requestJob({ sid, file, sample, onProgress });
    cards.set(key, card);
    const text = `waiting for a worker on ${taker}`;
    show(card, early.get(key) ?? { kind: "progress", state: "queued", title, text });
    early.delete(key);
  } catch (error) {
    show(card, { ...uploading, state: "failed", error: error.message });
  }
  asking -= 1;
  if (asking) return;
  for (const [key, update] of early) addCard(update, key); // of another tab, or of before a reload
  early.clear();
}

// Painting: once for each frame of the screen, however many messages came

let frame;

function paintSoon() {
  frame ??= requestAnimationFrame(paint);
}

function paint() {
  frame = undefined;
  for (const card of unpainted) card.paint();
  unpainted.clear();
  find("#wire-count").textContent = messages.toLocaleString("en");
  if (newest && find("#wire").open) {
    const { sid, ...shown } = newest; // knowing it is the right to read: not for a screenshot
    find("#wire-frame").textContent = JSON.stringify({ sid: `${sid.slice(0, 6)}…`, ...shown }, null, 2);
  }
  const running = [...cards.values()].filter((card) => !card.isFinal && card.fraction !== undefined);
  const percent = running.length === 1 ? `${percentage(running[0].fraction)} · ` : "";
  document.title = `${percent}progress-ws`;
}

function tell(news) {
  find("#news").textContent = news;
}

setInterval(() => {
  for (const card of cards.values()) card.paintSilence();
}, 1000);

// What the user does

function startFiles(files) {
  for (const file of files) start({ file, title: file.name });
}

const drop = find("#drop");
let depth = 0; // of elements that the pointer has dragged into

find("#file").addEventListener("change", ({ target }) => {
  startFiles(target.files);
  target.value = ""; // the same file may be chosen again
});
for (const button of document.querySelectorAll("[data-sample]")) {
  const { sample, title } = button.dataset;
  button.addEventListener("click", () => start({ sample, title }));
}
find("#wire").addEventListener("toggle", paintSoon);

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
