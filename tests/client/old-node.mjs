// What Node.js 18, which Debian 12 and Ubuntu 24.04 have, lacks of the clients' platform.

globalThis.CustomEvent ??= class extends Event {
  constructor(type, { detail } = {}) {
    super(type);
    this.detail = detail;
  }
};
