/** The page: one connection, a card for each job, a drop zone for new ones. */

import { ProgressClient } from "/client/progress-ws.js";
import { JobCard } from "./job-card.js";
import { requestDeed, requestJob } from "./upload.js";
import { percentage } from "./wording.js";

const MOST_CARDS = 30;
const MOST_EARLY = 300;
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
const early = new Map(); // key -> frame that came before the card that it is for
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
  if (detail.message?.kind === "progress") take(detail);
  paintSoon();
});
progress.addEventListener("stalled", ({ detail: { key, silent_s } }) => {
  const card = cards.get(key);
  if (!card) return;
  if (!card.isSilent) tell(`${card.title}: no word from the worker`);
  card.stall(silent_s);
  repaint(card);
});
progress.addEventListener("error", ({ detail: { code, key } }) => {
  const card = cards.get(key);
  if (card && code === "nobody_listens") answer(card, "Nobody is there to stop it.");
});
showConnection(progress.state);

function showConnection(state) {
  if (state !== "open") for (const card of cards.values()) answer(card); // it may never come now
  find("#connection").dataset.state = state;
  const isLive = state === "open" && node;
  find("#connection-text").textContent = isLive ? `Live · ${node}` : STATE_WORDS[state];
}

// Jobs

/** Show a frame on the card that it is for, a new one if need be, or keep it until there is one. */
function take(frame) {
  const { key = "", run, message } = frame;
  const card = cards.get(message.parent ?? key);
  if (card && message.parent) card.showPart(key, message, run);
  if (card && !message.parent) show(card, message, run);
  if (card) repaint(card);
  else if (asking || message.parent) keepEarly(key, frame);
  else addCard(message, key, run);
}

function keepEarly(key, frame) {
  early.delete(key);
  early.set(key, frame);
  if (early.size > MOST_EARLY) early.delete(early.keys().next().value);
}

function show(card, update, run) {
  const wasFinal = card.isFinal;
  const wasSilent = card.isSilent;
  card.show(update, run);
  if (card.isFinal && !wasFinal) tell(`${card.title}: ${update.error ?? update.state}`);
  else if (wasSilent && update.state === "running") tell(`${card.title}: at work again`);
  repaint(card);
}

function repaint(card) {
  unpainted.add(card);
  paintSoon();
}

function addCard(update, key, run) {
  const card = new JobCard(update, wish);
  find("#jobs").prepend(card.element);
  find("#empty").hidden = true;
  if (key !== undefined) {
    card.show(update, run);
    adopt(card, key);
  }
  forgetOldest();
  repaint(card);
  return card;
}

/** From now on a card is that of a key. */
function adopt(card, key) {
  cards.set(key, card);
  for (const [each, frame] of early) {
    if (each !== key && frame.message.parent !== key) continue;
    early.delete(each);
    take(frame);
  }
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
    const text = `waiting for a worker on ${taker}`;
    show(card, { kind: "progress", state: "queued", title, text });
    adopt(card, key);
  } catch (error) {
    show(card, { ...uploading, state: "failed", error: error.message });
  }
  asking -= 1;
  if (asking) return;
  const kept = [...early.values()]; // of another tab, or of before a reload
  early.clear();
  for (const frame of kept) take(frame);
}

async function wish(deed, card) {
  const key = [...cards].find(([, each]) => each === card)?.[0];
  if (deed === "cancel") {
    if (!progress.cancel(key)) answer(card, "Not connected just now. Please try again.");
    return;
  }
  try {
    await requestDeed(key, deed, progress.sid);
    card.promised(deed === "kill" ? "Killed. The server will notice its silence." : "A new worker starts…");
    repaint(card);
  } catch (error) {
    answer(card, error instanceof TypeError ? "The server did not answer." : error.message);
  }
}

function answer(card, notice) {
  card.answered(notice);
  repaint(card);
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
  for (const card of cards.values()) if (card.isSilent) card.paintDetail();
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
