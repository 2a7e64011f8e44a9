/** The button that kills a worker, and has a lost one replaced. */

import { requestDeed } from "./upload.js";

const PROMISES = {
  kill: "Killed. The server will notice its silence.",
  retry: "A new worker starts…",
};

export class Deed {
  #button;
  #notice;
  #words;
  #id;
  #sid;
  #deed = "kill";
  #asked = false; // until the answer can be seen
  #isOver = false;

  /** @param {{kill: string, retry: string}} words - on the button */
  constructor(button, notice, title, words = { kill: "Kill the worker", retry: "Try again" }) {
    this.#button = button;
    this.#notice = notice;
    this.#words = words;
    this.title = title;
    button.addEventListener("click", () => this.#ask());
  }

  /** From now on it is about this job. */
  about(id, sid) {
    this.#id = id;
    this.#sid = sid;
    this.#answered();
  }

  /** @param {{isOver: boolean, isLost: boolean}} job - ended (or not begun); its worker is lost */
  show({ isOver, isLost }) {
    const deed = isLost ? "retry" : "kill";
    if (deed !== this.#deed || isOver !== this.#isOver) this.#answered();
    this.#deed = deed;
    this.#isOver = isOver;
    this.#button.hidden = isOver || !this.#id;
    this.#paint();
  }

  async #ask() {
    if (this.#asked) return;
    this.#asked = true;
    const deed = this.#deed;
    this.#paint();
    try {
      await requestDeed(this.#id, deed, this.#sid);
      if (this.#asked) this.#notice.textContent = PROMISES[deed];
    } catch (error) {
      this.#answered(error.message);
    }
  }

  #answered(notice = "") {
    this.#asked = false;
    this.#notice.textContent = notice;
    this.#paint();
  }

  #paint() {
    const words = this.#words[this.#deed];
    if (this.#button.textContent !== words) this.#button.textContent = words;
    this.#button.setAttribute("aria-label", `${words}: ${this.title}`);
    // A button that is disabled would lose the focus.
    this.#button.setAttribute("aria-disabled", String(this.#asked));
  }
}
