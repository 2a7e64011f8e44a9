// A node of Socket.IO: browsers join the room of their sid.
// node socketio_server.mjs PORT REDIS_PORT
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [port, redisPort] = process.argv.slice(2);
const publishing = createClient({ url: `redis://127.0.0.1:${redisPort}` });
const subscribing = publishing.duplicate();
await Promise.all([publishing.connect(), subscribing.connect()]);

const http = createServer();
const io = new Server(http, { adapter: createAdapter(publishing, subscribing) });
io.on("connection", (socket) => socket.join(socket.handshake.query.room));
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 1024 });
