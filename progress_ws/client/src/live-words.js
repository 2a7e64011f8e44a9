/** What is said of a bar, as the reader's language writes it. Nothing here touches a page. */

import { seconds } from "./live-bar.js";

/** What is missing is said by its name: "Done", "Cancel". */
const ENGLISH = {
  nobody: "Nobody listens",
  attempt: "Attempt {n}",
  count: "{current} of {total}",
  rate: "{amount}/s",
  stalled: "No news for {time}",
  more: "{n} more",
  lang: "en",
  left: "{time} left",
};

const formats = {}; // Making one takes a hundred times as long as using it.

/** @param own - texts in place of the English ones, and their language */
export function wordsOf(own) {
  const { lang, ...texts } = { ...ENGLISH, ...own };

  /** A text with its values in it: a template, or a function of the values. */
  const say = (name, values) => {
    const text = texts[name] ?? name[0].toUpperCase() + name.slice(1);
    return text.call ? text(values) : text.replace(/{(\w+)}/g, (_, value) => values[value]);
  };

  /** Rounded down: nothing is complete before it is. */
  const number = (value, options) =>
    (formats[JSON.stringify([lang, options])] ??= new Intl.NumberFormat(lang, {
      roundingMode: "trunc",
      maximumFractionDigits: 1,
      ...options,
    })).format(value);

  /** "1.2 MB", "42", or with a word for the unit "42 rows". */
  const amount = (value, unit) => {
    const place = unit === "B" && value > 1 ? Math.min((Math.log10(value) / 3) | 0, 4) : 0;
    return number(value / 1000 ** place) + (unit ? ` ${" kMGT"[place].trim()}${unit}` : "");
  };

  /** In seconds, minutes or hours. */
  const time = (seconds) => {
    const place = (seconds >= 60) + (seconds >= 3600);
    const unit = ["second", "minute", "hour"][place];
    return number((Math.trunc(seconds) || 0) / 60 ** place, { style: "unit", unit });
  };

  /**
   * What is to be seen of a bar: the texts of its parts, in their order, and before them `fraction`,
   * from 0 to 1, which is undefined where it is not known.
   */
  const describe = (bar, state, name, now = seconds()) => {
    const { unit, total, current = state === "done" ? total : 0, rate, phase, text, error, attempt } = bar;
    const isRunning = state === "running";
    // Not all of it is done before it is done.
    const fraction = state === "done" ? 1 : total ? Math.min(current / total, 0.99) : undefined;
    const left = Math.ceil(bar._due - now);
    const said = {
      phase,
      attempt: attempt > 1 && say("attempt", { n: attempt }),
      status: !isRunning && say(state, { time: time(now - bar._silent) }),
      percent: fraction >= 0 && number(fraction, { style: "percent", maximumFractionDigits: 0 }),
      bar: "",
      count: unit !== "%" && (total ? say("count", { current: amount(current, unit === "B" && unit), total: amount(total, unit) }) : current && amount(current, unit)),
      rate: isRunning && unit !== "%" && rate && say("rate", { amount: amount(rate, unit) }),
      eta: isRunning && left > 0 && say("left", { time: time(left) }),
      text,
      error,
    };
    said.bar = Object.values(said).filter(Boolean).join(", ") || say(state);
    return { fraction, label: bar.title || name || say("progress"), ...said };
  };

  return [say, number, describe];
}
