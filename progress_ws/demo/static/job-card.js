/** One report on the page: the way of its file to a node, then its bar, and what can be done to it. */

import { progress } from "./connection.js";
import { Deed } from "./deed.js";
import { fractionOf, pace, percentage } from "./wording.js";

const REPORT = /^\/demo\/reports\/[\w-]{32}$/; // a message is no reason to link anywhere else
const FINAL = new Set(["done", "failed", "cancelled"]);

const template = document.querySelector("#job");

export class JobCard {
  #refused = false;
  #deed;

  constructor(title) {
    this.title = title;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.live = this.#find("progress-live");
    this.#deed = new Deed(this.#find(".deed"), this.#find(".notice"), title);
    this.#set("bdi", title);
    this.#find(".request progress").setAttribute("aria-label", title);
    this.live.addEventListener("statechange", () => this.#paint());
    this.live.setAttribute("label", title);
    this.live.client = progress;
    this.element.dataset.state = "asking";
    this.#paint();
  }

  get isFinal() {
    return this.#refused || FINAL.has(this.live.state);
  }

  /** Between 0 and 1, or undefined if that is not known. */
  get fraction() {
    return this.live.update && fractionOf(this.live.update);
  }

  /** Show how far the file is on its way. */
  upload(update) {
    const bar = this.#find(".request progress");
    const fraction = fractionOf(update);
    const percent = fraction === undefined ? "" : percentage(fraction);
    if (fraction !== undefined) bar.value = fraction;
    bar.setAttribute("aria-label", `Upload: ${this.title}`);
    bar.setAttribute("aria-valuetext", percent);
    this.#set(".request .percent", percent);
    this.#set(".request .pace", `Uploading ${pace(update)}`);
  }

  /** The job will be seen in this session; a node need not have it yet. */
  watch(sid) {
    this.live.setAttribute("sid", sid);
  }

  /** A node has it. */
  taken({ id, key, sid }) {
    this.#deed.about(id, sid);
    this.live.setAttribute("key", key);
    this.#find(".request").hidden = true;
    this.live.hidden = false;
    this.#paint();
  }

  /** No node has it, for a reason to show. */
  refused(error) {
    this.#refused = true;
    this.element.dataset.state = "failed";
    this.#find(".request progress").hidden = true;
    this.#set(".request .pace", "");
    this.#set(".request .error", error);
  }

  #paint() {
    const { state } = this.live;
    const update = this.live.update ?? {};
    if (!this.live.hidden) this.element.dataset.state = state;
    this.#deed.show({ isOver: !update.cancellable || FINAL.has(state), isLost: state === "stalled" });
    const hasReport = state === "done" && REPORT.test(update.href);
    this.#find(".result").hidden = !hasReport;
    if (hasReport) {
      this.#find(".open").href = update.href;
      this.#find(".save").href = update.href;
      this.#find(".save").download = `${this.title}.html`;
    }
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }

  #set(selector, text) {
    const element = this.#find(selector);
    if (element.textContent !== text) element.textContent = text;
  }
}
