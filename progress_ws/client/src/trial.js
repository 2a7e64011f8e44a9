/** Whether a transport of this kind is welcomed by the host's node within this time. */
export async function isWelcomed(Transport, { url, random, WebSocket, sessions }, withinMs) {
  let trial;
  let timer;
  try {
    return await new Promise((resolve) => {
      timer = setTimeout(() => resolve(false), withinMs);
      trial = new Transport({
        url,
        random,
        WebSocket,
        sid: "", // no session: nothing is taken from anybody
        sessions: new sessions.constructor(),
        attached: new Map(),
        kinds: [],
        receive: ({ type } = {}) => type === "welcome" && resolve(true),
        lose: () => resolve(false),
      });
    });
  } catch {
    return false; // it cannot even be made
  } finally {
    clearTimeout(timer);
    trial?.close();
  }
}
