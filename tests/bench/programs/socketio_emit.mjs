// Publishes with Socket.IO's own emitter; orders and answers as in publishers/orders.py.
// node socketio_emit.mjs REDIS_PORT SIDS
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setImmediate, setTimeout } from "node:timers/promises";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";

const TOGETHER = 200;
const [redisPort, path] = process.argv.slice(2);
const sids = readFileSync(path, "utf8").trim().split("\n");
const redis = createClient({ url: `redis://127.0.0.1:${redisPort}` });
await redis.connect();
const emitter = new Emitter(redis);
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const hex = (number, digits) => number.toString(16).padStart(digits, "0");

function emit(order, number) {
  const browser = order.first + Math.floor(Math.random() * (order.last - order.first));
  const mark = `~${hex(process.hrtime.bigint(), 16)}${hex(order.number + number, 8)}${hex(browser, 8)}~`;
  emitter.to(sids[browser]).emit("message", mark.padEnd(order.size, "x"));
}

async function carryOut(order) {
  const began = process.hrtime.bigint();
  for (let number = 0; number < order.count; ) {
    const passed = Number(process.hrtime.bigint() - began) / 1e9;
    const due = order.rate ? 1 + Math.floor(passed * order.rate) : number + TOGETHER;
    for (; number < Math.min(due, order.count); number++) emit(order, number);
    // The answer to a ping comes when everything before it has been taken.
    if (order.rate) await setTimeout(1);
    else await redis.ping();
    await setImmediate();
  }
  await redis.ping();
  return began;
}

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const order = { number: 0, rate: 0, size: 120, first: 0, last: 1000, ...JSON.parse(line) };
  const before = process.cpuUsage();
  const began = await carryOut(order);
  const used = process.cpuUsage(before);
  say({
    began_ns: Number(began),
    ended_ns: Number(process.hrtime.bigint()),
    cpu_s: (used.user + used.system) / 1e6,
    confirmed: order.count,
  });
}
process.exit(0);
