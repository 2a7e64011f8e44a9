/** What a reload finds again. Where nothing can be kept a reload starts anew, and that is all. */
export class Keeping {
  _storage; // undefined: the page's own, which may throw when it is only touched
  _key;

  constructor(storage, key) {
    this._storage = storage;
    this._key = key;
  }

  get(name = "") {
    return this._try((storage) => storage.getItem(this._key + name));
  }

  /** @param value nothing: forget it. */
  set(value, name = "") {
    const key = this._key + name;
    this._try((storage) => (value ? storage.setItem(key, value) : storage.removeItem(key)));
  }

  _try(action) {
    try {
      return action(this._storage === undefined ? globalThis.sessionStorage : this._storage);
    } catch {
      // Missing, blocked or full.
    }
  }
}
