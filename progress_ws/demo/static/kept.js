/** What a reload must not lose: the sessions of this tab. Knowing one is the right to see it. */

export function recall(name) {
  try {
    return JSON.parse(sessionStorage.getItem(`demo.${name}`)) ?? undefined;
  } catch {
    // Blocked, or not ours. Then a reload starts anew.
  }
}

export function keep(name, value) {
  try {
    sessionStorage.setItem(`demo.${name}`, JSON.stringify(value));
  } catch {
    // Blocked or full.
  }
}
