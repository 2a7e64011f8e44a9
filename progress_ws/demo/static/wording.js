/** What the page writes itself: of a file on its way. All else is written by the bars. */

/** What an update says of amount and speed: "1.5 MB of 341 MB · 24.1 MB/s" */
export function pace({ current = 0, total, rate }) {
  if (!(total > 0)) return "";
  const words = [`${bytes(current)} of ${bytes(total)}`];
  if (rate) words.push(`${bytes(rate)}/s`);
  return words.join(" · ");
}

/** How far an update says that it is, between 0 and 1, or undefined if that is not known. */
export function fractionOf({ current = 0, total }) {
  return total > 0 ? Math.min(1, Math.max(0, current / total)) : undefined;
}

/** Rounded down: 100 % is when it is done. */
export function percentage(fraction) {
  return `${Math.floor(fraction * 100 + 1e-9)} %`;
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  for (; value >= 999.5 && place < units.length - 1; place++) value /= 1000;
  return `${place && value < 99.5 ? value.toFixed(1) : Math.round(value)} ${units[place]}`;
}
