const PAUSE_MS = 5_000;
const PATIENCE_MS = 10_000;

const asked = {};
const missed = {};

/**
 * Import a module beside this one, and again where it could not be had, or did not come. Chromium
 * keeps a failure for the life of the page, but only under one address; `load` has it as a literal,
 * for bundlers.
 */
export function sibling(name, load) {
  return (asked[name] ??= inTime(again(name, load)).catch((error) => {
    missed[name] = Date.now();
    setTimeout(() => delete asked[name], PAUSE_MS);
    throw error;
  }));
}

const again = (name, load) =>
  missed[name]
    ? import(import.meta.url.replace(/[^/]*$/, `${name}?${missed[name]}`)) // no file for a bundler
    : load();

function inTime(module) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(fail, PATIENCE_MS, "it does not come");
  });
  return Promise.race([module, late]).finally(() => clearTimeout(timer));
}
