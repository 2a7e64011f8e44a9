/** One job on the page: the bar of one key, with those of its parts, and what can be done to it. */

import { JobPart } from "./job-part.js";
import { duration, fractionOf, pace, percentage } from "./wording.js";

const REPORT = /^\/demo\/reports\/[\w-]{32}$/; // a message is no reason to link anywhere else
const ENDS = { done: "Done", failed: "Failed", cancelled: "Cancelled" };

const template = document.querySelector("#job");

export class JobCard {
  #update;
  #run;
  #parts = new Map(); // key -> JobPart
  #silentSince; // when a publisher that has fallen silent was last heard of
  #asked; // what the user wants, until the answer can be seen: cancel, kill or retry
  #notice = "";

  /** @param {(wish: "cancel" | "kill" | "retry", card: JobCard) => void} onWish */
  constructor(update, onWish) {
    this.element = template.content.firstElementChild.cloneNode(true);
    this.#find(".cancel").addEventListener("click", () => this.#wish("cancel", onWish));
    this.#find(".deed").addEventListener("click", () => this.#wish(this.#deed, onWish));
    this.show(update);
  }

  get isFinal() {
    return this.#update.state in ENDS;
  }

  get isSilent() {
    return this.#silentSince !== undefined;
  }

  get title() {
    return this.#update.title ?? "A job";
  }

  /** Between 0 and 1, or undefined if that is not known. */
  get fraction() {
    return fractionOf(this.#update);
  }

  /** Take in an update; paint() will show it. */
  show(update, run) {
    if (run !== this.#run || this.isSilent) this.answered(); // news, of whoever is there now
    this.#update = update;
    this.#run = run;
    this.#silentSince = undefined;
    if (this.isFinal) this.answered();
  }

  showPart(key, update, run) {
    if (!this.#parts.has(key)) this.#parts.set(key, new JobPart(key));
    this.#parts.get(key).show(update, run);
  }

  /** Its publisher promised news, and has been silent for so long. */
  stall(silent_s) {
    this.#silentSince = performance.now() - silent_s * 1000;
    if (this.#asked === "kill") this.answered();
  }

  /** What was asked for is done, or cannot be, for a reason to show. */
  answered(notice = "") {
    this.#asked = undefined;
    this.#notice = notice;
  }

  /** What was asked for will be seen. */
  promised(notice) {
    if (this.#asked) this.#notice = notice;
  }

  paint() {
    const { state, error, href } = this.#update;
    this.element.dataset.state = this.#isStalled ? "stalled" : state;
    this.#set("bdi", this.title);
    this.#set(".error", state === "failed" ? (error ?? "The job failed.") : "");
    this.#paintBar();
    this.#paintParts();
    this.paintDetail();
    this.#paintActions();
    const hasReport = state === "done" && REPORT.test(href);
    this.#find(".result").hidden = !hasReport;
    if (hasReport) {
      this.#find(".open").href = href;
      this.#find(".save").href = href;
      this.#find(".save").download = `${this.title}.html`;
    }
  }

  /** For how long there has been silence changes though nothing comes. */
  paintDetail() {
    const { state, text, attempt, elapsed_s } = this.#update;
    const words = [];
    if (this.#isStalled) {
      const silent_s = Math.floor((performance.now() - this.#silentSince) / 1000);
      words.push(`No word from the worker for ${duration(silent_s)}`);
    } else if (this.isFinal && elapsed_s !== undefined) {
      words.push(`${state === "done" ? `${text} in` : "Stopped after"} ${duration(elapsed_s)}`);
    } else if (text) words.push(text);
    if (attempt > 1) words.push(`attempt ${attempt}`);
    this.#set(".detail", words.join(" · "));
  }

  get #isStalled() {
    return this.isSilent && !this.isFinal;
  }

  get #deed() {
    return this.#isStalled ? "retry" : "kill";
  }

  #wish(wish, onWish) {
    if (this.#asked) return;
    this.#asked = wish;
    this.#notice = "";
    this.paint();
    onWish(wish, this);
  }

  #paintBar() {
    const { state, eta_s } = this.#update;
    const bar = this.#find("progress");
    const fraction = state === "done" ? 1 : this.fraction;
    const percent = fraction === undefined ? "" : percentage(fraction);
    bar.hidden = this.isFinal && fraction === undefined;
    if (fraction === undefined) bar.removeAttribute("value");
    else bar.value = fraction;
    bar.setAttribute("aria-label", this.title);
    const left = eta_s === undefined || this.isSilent ? "" : `${duration(eta_s)} left`;
    const words = [ENDS[state] ?? (this.#isStalled ? "stalled" : ""), percent, left];
    bar.setAttribute("aria-valuetext", words.filter(Boolean).join(", ") || "working");
    this.#set(".left", left);
    this.#find(".left").hidden = this.isFinal;
    this.#set(".percent", ENDS[state] ?? percent);
  }

  #paintParts() {
    const parts = [...this.#parts.values()].filter(({ run }) => run === this.#run);
    parts.sort((a, b) => (a.key < b.key ? -1 : 1)); // in a replay they come in another order
    const elements = parts.map(({ element }) => element);
    const list = this.#find(".parts");
    const isSame = elements.every((element, place) => element === list.children[place]);
    if (!isSame || elements.length !== list.children.length) list.replaceChildren(...elements);
    for (const part of parts) part.paint(this.title, this.isFinal);
    const { state } = this.#update;
    list.hidden = !parts.length || state === "done";
    this.#set(".whole", parts.length || this.isFinal ? "" : pace(this.#update));
  }

  #paintActions() {
    this.#find(".actions").hidden = !this.#update.cancellable || this.isFinal;
    const isCancelling = this.#asked === "cancel";
    const deeds = { kill: "Kill the worker", retry: "Try again" };
    this.#paintButton(".cancel", isCancelling ? "Cancelling…" : "Cancel");
    this.#paintButton(".deed", deeds[this.#deed]);
    this.#set(".notice", this.#notice);
  }

  #paintButton(selector, text) {
    const button = this.#find(selector);
    this.#set(selector, text);
    button.setAttribute("aria-label", `${text}: ${this.title}`);
    button.setAttribute("aria-disabled", String(this.#asked !== undefined)); // and keeps the focus
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }

  #set(selector, text) {
    const element = this.#find(selector);
    if (element.textContent !== text) element.textContent = text;
  }
}
