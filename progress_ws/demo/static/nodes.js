/** Which node serves what: the nodes that are there, this page's connection, who took which job. */

import { drop, next, progress } from "./connection.js";
import { countOfRunning, errands, isLost } from "./errands.js";
import { reports } from "./reports.js";

const LOOK_MS = 2000; // as often as nodes tell each other
const TRIES = 8;
const WELCOME_MS = 15_000;
const FOLLOWED_MS = 5_000;
const MOST_CHIPS = 6;

const template = document.querySelector("#node");
const list = document.querySelector("#nodes");
const button = document.querySelector("#switch");
const notice = document.querySelector("#switch-notice");
let known = []; // {node, connections}

/** The node that holds this page's connection, or did. */
export let here;

async function look() {
  try {
    const response = await fetch("/demo/nodes");
    if (response.ok) known = (await response.json()).nodes;
  } catch {
    // Nobody answers just now: what was known stays.
  }
  paint();
}

function paint() {
  const names = new Set(known.map(({ node }) => node));
  const strangers = here && !names.has(here) ? [{ node: here }] : []; // not heard of yet
  list.replaceChildren(...[...known, ...strangers].map(shown));
}

function shown({ node, connections }) {
  const element = template.content.firstElementChild.cloneNode(true);
  const isHere = node === here && progress.state === "open";
  element.classList.toggle("is-here", isHere);
  element.querySelector("bdi").textContent = node;
  element.querySelector(".here").hidden = !isHere;
  const held = isHere ? Math.max(connections, 1) : connections; // what nodes tell each other is some seconds old
  const count = connections === undefined ? "" : `${held} ${held === 1 ? "connection" : "connections"}`;
  element.querySelector(".count").textContent = count;
  element.querySelector(".chips").replaceChildren(...jobsOf(node).map(chip));
  return element;
}

/** What a node has done, or does, for this page: `{title, state}`, the newest first. */
function jobsOf(node) {
  const own = reports.filter((report) => report.node === node);
  const jobs = own.map(({ title, card }) => ({ title, state: card.live.state }));
  if (errands?.node === node) {
    const running = countOfRunning();
    const title = running ? `${running} of 20 jobs` : "20 jobs";
    jobs.unshift({ title, state: isLost() ? "stalled" : running ? "running" : "done" });
  }
  const rest = jobs.length - MOST_CHIPS;
  return rest > 0 ? [...jobs.slice(0, MOST_CHIPS), { title: `${rest} more`, state: "done" }] : jobs;
}

function chip({ title, state }) {
  const element = document.createElement("li");
  element.dataset.state = state;
  element.textContent = title;
  return element;
}

async function switchNode() {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  notice.textContent = "Moving…";
  await look();
  notice.textContent = obstacle() ?? (await moved(here));
  button.setAttribute("aria-disabled", "false");
  paint();
}

/** Why there is no moving, or undefined. */
function obstacle() {
  if (known.length < 2) return "There is only one node here: make cluster starts three.";
  if (progress.transport !== "websocket") return "There is no WebSocket to drop: something blocks them here.";
}

/** Drop the connection until it is on another node; resolves with what to say of it. */
async function moved(from) {
  for (let tries = 1; tries <= TRIES; tries++) {
    const welcome = next("welcome", WELCOME_MS);
    drop();
    const to = (await welcome)?.node;
    if (!to) return "There is no connection just now; it comes back by itself.";
    if (to === from) continue;
    const { sessions, missing } = await countFollowed(); // from now on: the way back may be long
    const ways = tries === 1 ? "" : ` in ${tries} attempts`;
    const carried = sessions ? ` with ${sessions} ${sessions === 1 ? "session" : "sessions"}` : "";
    const whole = missing ? "messages may be missing" : "nothing is missing";
    return `From ${from} to ${to}${ways}${carried}: ${whole}.`;
  }
  return `The load balancer put it on ${from} each of ${TRIES} times.`;
}

/** Resolves once all sessions came along, or after a while, with how many did. */
function countFollowed() {
  const wanted = document.querySelectorAll("progress-live[sid]").length;
  const signal = AbortSignal.timeout(FOLLOWED_MS);
  let sessions = 0;
  let missing = 0;
  return new Promise((resolve) => {
    const done = () => resolve({ sessions, missing });
    if (!wanted) return done();
    signal.addEventListener("abort", done);
    progress.addEventListener(
      "followed",
      ({ detail }) => {
        sessions += 1;
        missing += detail.recovered === false;
        if (sessions === wanted) done();
      },
      { signal },
    );
  });
}

progress.addEventListener("welcome", ({ detail }) => {
  here = detail.node;
  paint();
});
progress.addEventListener("state", paint);
document.addEventListener("statechange", paint);
document.addEventListener("visibilitychange", () => document.hidden || look());
button.addEventListener("click", switchNode);
setInterval(() => document.hidden || look(), LOOK_MS);
look();
