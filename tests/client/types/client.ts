// What the types of progress-ws.d.ts let pass, and what they do not. It is compiled, never run.

import {
  ProgressClient,
  type Json,
  type MessageFrame,
  type ProgressSocket,
  type ProgressState,
  type ProgressTransport,
} from "progress-ws";

interface Update {
  state: "running" | "done";
  current?: number;
}

const client = new ProgressClient<Update>({
  url: new URL("https://node.example/websocket/progress"),
  sid: "sid-of-this-request-0001",
  storage: null,
  storageKey: "key",
  random: Math.random,
  signal: new AbortController().signal,
  transports: ["sse", "polling"],
  WebSocket,
});
new ProgressClient();
new ProgressClient({ url: "/x", storage: localStorage });

const sid: string | undefined = client.sid;
const state: ProgressState = client.state;
const transport: ProgressTransport = client.transport;
const left: boolean = client.cancel("report") || client.cancel("report", "sid-of-another-job-00002");
const ready: Promise<string> = client.ready;
client.follow("sid-of-another-job-00002");
client.unfollow("sid-of-another-job-00002");
client.close();

client.addEventListener("message", function ({ detail }) {
  const current: number | undefined = detail.message.current;
  const { id, ts, key, run, final, replay } = detail;
  this.close();
  void [current, id, ts, key, run, final, replay];
});
client.addEventListener("state", ({ detail: { state, code, reason, wait_s } }) => {
  if (state === "waiting") console.log(code, reason, wait_s);
});
client.addEventListener("welcome", ({ detail }) => console.log(detail.node, detail.recovered === false));
client.addEventListener("stalled", ({ detail }) => detail.silent_s.toFixed(), { once: true });
client.addEventListener("error", ({ detail }) => console.log(detail.code, detail.sid));
client.addEventListener("gap", { handleEvent: (event) => console.log(event.detail.sid) });
client.addEventListener("an application's own", (event: Event) => console.log(event.type));
client.removeEventListener("gap", null);

async function loop(): Promise<void> {
  for await (const frame of client) {
    const typed: MessageFrame<Update> = frame;
    const { state }: Update = typed.message;
    if (state === "done") break;
  }
}

class Socket implements ProgressSocket {
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
  constructor(readonly url: string) {}
  send(data: string): void {}
  close(): void {}
}
new ProgressClient({ WebSocket: Socket });

const anything: ProgressClient = new ProgressClient();
anything.addEventListener("message", ({ detail }) => {
  const value: Json = detail.message;
  // @ts-expect-error JSON may be anything: look before it is used
  detail.message.current;
  void value;
});

// @ts-expect-error no such transport
new ProgressClient({ transports: ["telepathy"] });
// @ts-expect-error no such option
new ProgressClient({ uri: "/x" });
// @ts-expect-error a sid is a string
new ProgressClient({ sid: 5 });
// @ts-expect-error a sid is a string
client.follow(5);
// @ts-expect-error a key is needed
client.cancel();
// @ts-expect-error it says which it is; nobody sets it
client.state = "open";
// @ts-expect-error it says which it is; nobody sets it
client.transport = "sse";
// @ts-expect-error the update has no such field
client.addEventListener("message", ({ detail }) => detail.message.percent);
// @ts-expect-error a stalled frame has no message
client.addEventListener("stalled", ({ detail }) => detail.message);
// @ts-expect-error private
client._connection;

void [sid, state, transport, left, ready, loop];
