/**
 * What is known of the bars of a session. Nothing here touches a page.
 *
 * A message is anybody's: what is no number, no text, or no state of ours counts as not there.
 * Times are in seconds, by a clock of any beginning.
 */

const BARS = 2_000; // of one session; the oldest without parts is forgotten for one more
const CHARS = 500; // of a text; publishers cut theirs there, too
const LARGEST = 1e15;

const STATES = ["queued", "running", "done", "failed", "cancelled"];
const TEXTS = ["unit", "title", "phase", "error", "parent", "text"];
const NUMBERS = ["elapsed_s", "rate", "eta_s", "attempt", "current", "total"];

export const seconds = () => performance.now() / 1000;

export const isFinal = (state) => STATES.indexOf(state) > 1;

/**
 * Take in a frame; one that an ended or a later run has overtaken changes nothing.
 *
 * @param bars - key -> bar, in the order in which their runs were first heard of
 */
export function take(bars, { key = "", run, ts, message, silent_s }, now = seconds()) {
  const newest = bars.get(key);
  const before = run === newest?.run && newest;
  if (silent_s && newest && !isFinal(newest.state)) {
    newest.state = "stalled";
    newest._silent = now - silent_s;
  }
  if (run < newest?.run || (run && isFinal(before?.state))) return;
  if (message?.kind !== "progress" || !STATES.includes(message.state)) return;
  const { state } = message;
  // An end forgets nothing but the phase.
  const bar = { ...(isFinal(state) && before), phase: undefined, key, run, message, state };
  for (const name of TEXTS) {
    const value = message[name];
    if (typeof value === "string") bar[name] = value.slice(0, CHARS);
  }
  for (const name of NUMBERS) {
    const value = message[name];
    if (typeof value === "number" && value >= 0 && value < LARGEST) bar[name] = value;
  }
  if (bar.parent === key) bar.parent = undefined;
  if (bar.unit === "%") bar.total ??= 100;
  // Within a run no count goes back, unless it counts something else now.
  if (run && bar.current < before?.current && bar.total === before.total && bar.phase === before.phase)
    bar.current = before.current;
  bar._begun = before?._begun || ts - bar.elapsed_s;
  bar._due = now + bar.eta_s;
  if (!before) bars.delete(key); // a run that begins is the last in the order
  bars.set(key, bar);
  if (bars.size > BARS) bars.delete(leastOf(bars));
}

/** The oldest that has no parts; where all are parts of one another, the oldest. */
function leastOf(bars) {
  const wholes = new Set([...bars.values()].map(({ parent }) => parent));
  const keys = [...bars.keys()];
  return keys.find((key) => !wholes.has(key)) ?? keys[0];
}

/** The bar of this key; without a key the newest that is no part of another. */
export function find(bars, key) {
  if (key) return bars.get(key);
  let found;
  for (const bar of bars.values())
    if (!bars.has(bar.parent) && !(bar.run < found?.run)) found = bar;
  return found;
}

/** A bar's parts and theirs, in the order in which they began; those that have not, last. */
export function partsOf(bars, whole) {
  const begun = (bar) => bar._begun || Infinity;
  const family = new Set([whole.key]);
  const isPart = (bar) =>
    family.has(bar.parent) && bar !== whole && !(bar.run < whole.run) && family.add(bar.key);
  return [...bars.values()].sort((a, b) => begun(a) - begun(b)).filter(isPart);
}
