// A page without the element: the client alone, and a bar that is set by hand.
import { ProgressClient } from "/client/progress-ws.js";

const main = document.querySelector("main");
const [bar, line] = main.querySelectorAll("progress, output");

const progress = new ProgressClient({
  sid: main.dataset.sid || undefined,
  ...JSON.parse(main.dataset.options || "{}"),
});
progress.addEventListener("message", ({ detail: { message } }) => {
  if (message?.kind !== "progress") return;
  bar.max = message.total ?? 1;
  bar.value = message.current ?? 0;
  line.textContent = message.error ?? message.text ?? "";
  main.setAttribute("state", message.state);
});
progress.addEventListener("stalled", () => main.setAttribute("state", "stalled"));
