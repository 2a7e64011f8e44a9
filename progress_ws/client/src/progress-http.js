/**
 * The progress of server-side jobs where no WebSocket gets through: what `progress-ws.js` loads then.
 * Not for applications.
 */

export { Polling as polling } from "./polling.js";
export { EventStream as sse } from "./sse.js";
