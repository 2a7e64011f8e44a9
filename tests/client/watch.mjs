// A client in Node.js for a test in Python. It writes each event as a line, [type, detail], and
// takes lines of [method, ...arguments]; their results are events of the type "result".
//
//   node watch.mjs OPTIONS    the client's options as JSON

import { createInterface } from "node:readline";

import "./old-node.mjs";

const { CLIENT = "../../progress_ws/client/progress-ws.js" } = process.env;
const { ProgressClient } = await import(CLIENT);
const TYPES = "state welcome message followed unfollowed gap stalled error".split(" ");

const write = (type, detail) => process.stdout.write(`${JSON.stringify([type, detail])}\n`);

const client = new ProgressClient(JSON.parse(process.argv[2]));
for (const type of TYPES) client.addEventListener(type, ({ detail }) => write(type, detail));
client.addEventListener("state", () => write("transport", client.transport));

for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...args] = JSON.parse(line);
  write("result", client[method](...args) ?? null);
}
client.close();
