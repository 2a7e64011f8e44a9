/** One job on the page: shows the progress updates of one key. */

import { amount, duration, percentage, portion, rate } from "./wording.js";

const SILENT_MS = 10_000;
const REPORT = /^\/demo\/reports\/[\w-]{32}$/; // a message is no reason to link anywhere else
const FINAL = new Set(["done", "failed", "cancelled"]);

const template = document.querySelector("#job");

export class JobCard {
  #update;
  #heardAt;
  #phases = [];

  constructor(update) {
    this.element = template.content.firstElementChild.cloneNode(true);
    this.show(update);
  }

  get isFinal() {
    return FINAL.has(this.#update.state);
  }

  get title() {
    return this.#update.title ?? "A job";
  }

  /** Between 0 and 1, or undefined if that is not known. */
  get fraction() {
    const { current, total } = this.#update;
    return total > 0 ? Math.min(1, Math.max(0, current / total)) : undefined;
  }

  /** Take in an update; paint() will show it. */
  show(update) {
    this.#update = update;
    this.#heardAt = performance.now();
    const { phase } = update;
    if (phase && phase !== this.#phases.at(-1)) this.#phases.push(phase);
  }

  paint() {
    const { state, error, text, href } = this.#update;
    this.element.dataset.state = state;
    this.#set("bdi", this.title);
    this.#set(".error", state === "failed" ? (error ?? "The job failed.") : "");
    this.#set(".detail", text ?? "");
    this.#paintBar();
    this.#paintPhases();
    this.#paintFigures();
    const hasReport = state === "done" && REPORT.test(href);
    this.#find(".result").hidden = !hasReport;
    if (hasReport) {
      this.#find(".open").href = href;
      this.#find(".save").href = href;
      this.#find(".save").download = `${this.title}.html`;
    }
  }

  /** Say so if a running job has not been heard of for long. */
  paintSilence() {
    const silent = performance.now() - this.#heardAt;
    if (this.isFinal || silent < SILENT_MS) return;
    this.#set(".detail", `No news for ${duration(silent / 1000)}`);
  }

  #paintBar() {
    const { state, total, current, unit, eta_s } = this.#update;
    const bar = this.#find("progress");
    const fraction = state === "done" ? 1 : this.fraction;
    const percent = fraction === undefined ? "" : percentage(fraction);
    bar.hidden = state === "failed" || state === "cancelled";
    if (fraction === undefined) bar.removeAttribute("value");
    else bar.value = fraction;
    bar.setAttribute("aria-label", this.title);
    const words = [percent, total && portion(current, total, unit)];
    if (eta_s !== undefined) words.push(`${duration(eta_s)} left`);
    bar.setAttribute("aria-valuetext", words.filter(Boolean).join(", ") || "working");
    this.#set(".percent", { done: "Done", failed: "Failed", cancelled: "Cancelled" }[state] ?? percent);
  }

  #paintPhases() {
    const { state, phase: now, elapsed_s } = this.#update;
    const phases = this.#phases.map((phase, place) => {
      const item = document.createElement("span");
      const isLast = place === this.#phases.length - 1;
      const isCurrent = isLast && (phase === now || state === "failed");
      item.className = isCurrent ? "current" : "past";
      item.textContent = phase;
      return item;
    });
    this.#find(".phase").replaceChildren(...phases);
    this.#find(".phase").hidden = state === "done" && elapsed_s !== undefined;
  }

  #paintFigures() {
    const { state, current, total, unit, rate: pace, eta_s, elapsed_s } = this.#update;
    const figures = this.#find(".figures");
    figures.hidden = this.isFinal || total === undefined;
    if (figures.hidden) {
      if (state === "done" && elapsed_s !== undefined) {
        this.#set(".detail", `${this.#update.text ?? ""} in ${duration(elapsed_s)}`);
      }
      return;
    }
    this.#set("dt", unit === "B" ? "Read" : capitalised(unit ?? "Done"));
    this.#set(".count", unit === "B" ? amount(current, unit) : amount(current));
    this.#set(".total", `of ${unit === "B" ? amount(total, unit) : amount(total)}`);
    this.#set(".rate", pace ? rate(pace, unit) : "–");
    this.#set(".left", eta_s === undefined ? "–" : duration(eta_s));
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }

  #set(selector, text) {
    const element = this.#find(selector);
    if (element.textContent !== text) element.textContent = text;
  }
}

function capitalised(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
