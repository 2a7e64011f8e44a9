/** The reports of this tab, each a card, and how files become some. */

import { onForgotten, progress } from "./connection.js";
import { JobCard } from "./job-card.js";
import { keep, recall } from "./kept.js";
import { requestJob, requestSession } from "./upload.js";

const MOST_CARDS = 30;

/** Newest first: `{card, title, sid, id, key, node}`; the last three once a node has the job. */
export const reports = [];

const list = document.querySelector("#jobs");
const empty = document.querySelector("#empty");

/** Bring back what this tab had before it was loaded anew. */
export function restore() {
  for (const { title, ...job } of (recall("reports") ?? []).toReversed()) {
    const report = add(title);
    report.card.watch(job.sid);
    taken(report, job);
  }
  const restored = new Set(reports);
  onForgotten((sid) => {
    const report = reports.find((each) => each.sid === sid);
    if (!restored.has(report)) return;
    remove(report);
    remember();
  });
}

/**
 * Have a report made.
 *
 * @param {object} wish
 * @param {File} [wish.file] - absent: a sample is wanted
 * @param {string} [wish.sample] - which one
 */
export async function start({ file, sample, title }) {
  const report = add(title);
  const startedAt = performance.now();
  const onProgress = (loaded) => {
    const rate = (loaded * 1000) / (performance.now() - startedAt);
    report.card.upload({ state: "running", current: loaded, total: file.size, unit: "B", rate });
  };
  try {
    const sid = (report.sid = await requestSession());
    report.card.watch(sid);
    const { id, key, node } = await requestJob({ sid, file, sample, onProgress });
    taken(report, { id, key, sid, node });
    remember();
  } catch (error) {
    report.card.refused(error.message);
  }
}

function add(title) {
  const report = { title, card: new JobCard(title) };
  reports.unshift(report);
  list.prepend(report.card.element);
  empty.hidden = true;
  forgetOldest();
  return report;
}

function taken(report, job) {
  Object.assign(report, job);
  report.card.taken(job);
}

function forgetOldest() {
  for (const report of reports.slice(MOST_CARDS)) {
    if (report.card.isFinal) remove(report);
  }
}

function remove(report) {
  report.card.element.remove();
  reports.splice(reports.indexOf(report), 1);
  if (report.sid) progress.unfollow(report.sid);
  empty.hidden = reports.length > 0;
}

function remember() {
  const known = reports.filter(({ id }) => id);
  keep("reports", known.map(({ title, id, key, sid, node }) => ({ title, id, key, sid, node })));
}
