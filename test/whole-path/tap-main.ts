import { readFileSync } from "node:fs";
import { request as ask, createServer } from "node:https";
import type { Socket } from "node:net";
import { join } from "node:path";
import { openAuthority } from "../../resolver/serve/authority.ts";
import type { TapSettings } from "./tap.ts";

// A process of its own, so that it listens in the network namespace of the machine it stands for.

const { dir, address, port, upstream, caFile } = JSON.parse(process.argv[2] ?? "") as TapSettings;
const authority = await openAuthority(join(dir, "tls"));
const { cert, key } = await authority.serverCertificate([address], Date.now());
const ca = readFileSync(caFile);
/** The TCP connections below TLS, by the port of whoever came: only these can be reset. */
const connections = new Map<number, Socket>();
const links = new Set<number>();
let takesLinks = true;

const server = createServer({ cert, key }, (request, response) => {
  const { method = "", url = "", headers } = request;
  const asked = ask(`${upstream}${url}`, { method, headers, ca }, (reply) => {
    console.log(`${method} ${url} ${reply.statusCode}`);
    response.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(response);
  });
  asked.on("error", () => response.destroy());
  request.pipe(asked);
});
server.on("connection", (raw: Socket) => {
  const { remotePort = 0 } = raw;
  connections.set(remotePort, raw);
  raw.on("close", () => connections.delete(remotePort));
});
server.on("upgrade", (request, client: Socket) => {
  const { url = "", headers } = request;
  client.on("error", () => client.destroy());
  if (!takesLinks) {
    client.destroy();
    return;
  }
  const asked = ask(`${upstream}${url}`, { headers, ca });
  asked.on("error", () => client.destroy());
  asked.on("response", (reply) => {
    console.log(`link ${url} ${reply.statusCode}`);
    client.end(`HTTP/1.1 ${reply.statusCode} refused\r\nconnection: close\r\n\r\n`);
  });
  asked.on("upgrade", (reply, peer: Socket) => {
    const fields = Object.entries(reply.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    client.write(`HTTP/1.1 101 Switching Protocols\r\n${fields.join("")}\r\n`);
    client.pipe(peer).pipe(client);
    peer.on("error", () => client.destroy());
    const { remotePort = 0 } = client;
    links.add(remotePort);
    client.on("close", () => {
      links.delete(remotePort);
      peer.destroy();
    });
    peer.on("close", () => client.destroy());
    console.log(`link ${url} 101`);
  });
  asked.end();
});

/** With a reset, as a firewall that lost its table does. */
process.on("SIGUSR2", () => {
  takesLinks = false;
  for (const port of links) connections.get(port)?.resetAndDestroy();
  console.log("links are cut");
});
process.on("SIGHUP", () => {
  takesLinks = true;
});
server.listen(port, address, () => console.log(`taps ${upstream}`));
