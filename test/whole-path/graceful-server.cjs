// One page for each connection, on port 80 of a container or $PORT. At SIGTERM it ends as a server should that is known by a name: it works on until nobody
// new has come for a while, takes no more then, and finishes what is under way.
const page = `HTTP/1.0 200 OK\r\n\r\n<p>${process.env.BERTH_PAGE}</p>`;
const quietMs = 250;
let end = null;
const server = require("node:net").createServer((socket) => {
  end?.refresh();
  socket.on("error", () => {}).once("data", () => socket.end(page));
});
// All who waited for a restart come at once: none of them should be left to TCP's own retries, which take a second.
server.listen({ port: Number(process.env.PORT ?? 80), backlog: 4096 });
process.once("SIGTERM", () => {
  end = setTimeout(() => server.close(), quietMs);
});
