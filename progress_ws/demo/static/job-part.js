/** A part of a job: the bar nested in its card. */

import { fractionOf, pace, percentage } from "./wording.js";

const template = document.querySelector("#part");

export class JobPart {
  #update;
  #bar;

  constructor(key) {
    this.key = key;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.#bar = this.element.querySelector("progress");
  }

  show(update, run) {
    this.#update = update;
    this.run = run;
  }

  /** @param {boolean} isOver - the job has ended, so nothing goes on here either */
  paint(job, isOver) {
    const { state, title = "A part" } = this.#update;
    const fraction = state === "done" ? 1 : fractionOf(this.#update);
    const hasBegun = this.#update.phase !== undefined || this.#update.total !== undefined;
    const now = state === "done" ? "done" : !hasBegun ? "waiting" : isOver ? "stopped" : "running";
    this.element.dataset.state = now;
    this.element.querySelector(".name").textContent = title;
    this.element.querySelector(".pace").textContent = pace(this.#update);
    if (fraction === undefined && now === "running") this.#bar.removeAttribute("value");
    else this.#bar.value = fraction ?? 0;
    this.#bar.setAttribute("aria-label", `${title}: ${job}`);
    const percent = fraction === undefined ? "" : percentage(fraction);
    const words = [now === "running" ? "" : now, now === "done" ? "" : percent, pace(this.#update)];
    this.#bar.setAttribute("aria-valuetext", words.filter(Boolean).join(", ") || "working");
  }
}
