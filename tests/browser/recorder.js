// Runs before anything else in each document of a tab, and writes down what happens in it: every
// event of every client, and whatever a person can see of a bar, at each change. It is the page
// itself that notes it: whoever asks from outside sees less the busier the machine is.
(() => {
  const KEPT = "recorder.log"; // for the next document of this tab
  const TOLD = new Set(
    ["state", "welcome", "message", "followed", "unfollowed", "gap", "stalled", "error"],
  );
  const LONG = 2_000; // a longer message is noted by its length and its first characters
  const shown = new WeakMap();
  const recorder = { log: [], clients: [] };

  const short = (name, value) =>
    typeof value === "string" && value.length > LONG
      ? `${value.length} characters: ${value.slice(0, 100)}`
      : value;
  const note = (kind, what) =>
    recorder.log.push([performance.timeOrigin + performance.now(), kind, what]);

  try {
    recorder.log = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
  } catch {
    // No storage here: this document's notes end with it.
  }
  addEventListener("pagehide", () => {
    note("document", { hides: location.pathname });
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(recorder.log));
    } catch {}
  });

  const { dispatchEvent } = EventTarget.prototype;
  EventTarget.prototype.dispatchEvent = function (event) {
    if (event instanceof CustomEvent) {
      const { type, detail } = event;
      if (this instanceof Node) {
        note("element", { type, detail: JSON.parse(JSON.stringify(detail ?? null, short)) });
      } else if (TOLD.has(type)) {
        if (!recorder.clients.includes(this)) recorder.clients.push(this);
        const client = recorder.clients.indexOf(this);
        note("client", { client, type, detail: JSON.parse(JSON.stringify(detail, short)) });
      }
    }
    return dispatchEvent.call(this, event);
  };

  const look = (host, bars) => {
    const root = host.shadowRoot ?? host;
    const bar = root.querySelector("progress");
    const parts = {};
    for (const part of root.querySelectorAll("[part]")) {
      const [name] = part.part;
      if (part !== bar && part.checkVisibility()) parts[name] ??= part.innerText.slice(0, LONG);
    }
    const children = [...root.querySelectorAll("[part=children] progress")].map((it) => it.position);
    const seen = {
      bar: bars.indexOf(host),
      state: (host.shadowRoot ? root.querySelector(".row")?.classList[1] : root.querySelector("[data-state]")?.dataset.state) ?? host.getAttribute("state"),
      position: bar?.checkVisibility() ? bar.position : null,
      words: bar?.getAttribute("aria-valuetext"),
      text: host.shadowRoot ? undefined : host.innerText.slice(0, LONG),
      parts,
      children,
    };
    const text = JSON.stringify(seen);
    if (shown.get(host) === text) return;
    shown.set(host, text);
    note("screen", seen);
  };
  const observer = new MutationObserver(() => {
    const bars = [...document.querySelectorAll("progress-live, main[data-sid]")];
    for (const host of bars) look(host, bars);
  });
  const options = { subtree: true, childList: true, attributes: true, characterData: true };
  const { attachShadow } = Element.prototype;
  Element.prototype.attachShadow = function (init) {
    const root = attachShadow.call(this, init);
    observer.observe(root, options);
    return root;
  };
  observer.observe(document, options);

  document.addEventListener("securitypolicyviolation", (event) => {
    note("violation", `${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`);
  });
  note("document", { shows: location.pathname });
  Object.defineProperty(globalThis, "recorder", { value: recorder });
})();
