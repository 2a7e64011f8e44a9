/** Numbers, sizes and times as people write them. */

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export function amount(value, unit) {
  return unit === "B" ? bytes(value) : `${plain.format(value)} ${unit ?? ""}`.trim();
}

/** "9,999 of 100,000 rows" */
export function portion(value, total, unit) {
  return `${amount(value, unit === "B" ? unit : "")} of ${amount(total, unit)}`;
}

/** What an update says of amount and speed: "9,999 of 100,000 rows · 24,200/s" */
export function pace({ state, current = 0, total, unit, rate: perSecond }) {
  if (!(total > 0)) return "";
  if (state === "done") return amount(total, unit);
  const words = [portion(current, total, unit)];
  if (perSecond && state === "running") words.push(rate(perSecond, unit));
  return words.join(" · ");
}

/** How far an update says that it is, between 0 and 1, or undefined if that is not known. */
export function fractionOf({ current = 0, total }) {
  return total > 0 ? Math.min(1, Math.max(0, current / total)) : undefined;
}

export function rate(value, unit) {
  return `${unit === "B" ? bytes(value) : short.format(value)}/s`;
}

/** Rounded down: 100 % is when it is done. */
export function percentage(fraction) {
  return `${Math.floor(fraction * 100 + 1e-9)} %`;
}

export function duration(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  for (; value >= 999.5 && place < units.length - 1; place++) value /= 1000;
  return `${place && value < 99.5 ? value.toFixed(1) : Math.round(value)} ${units[place]}`;
}
