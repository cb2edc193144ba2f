import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

import type { Address } from "../../shared/address.ts";
import { addressRdata } from "../../shared/dns/endpoints.ts";
import { decodeQuery, encodeResponse, type RR } from "../../shared/dns/message.ts";
import { createLog } from "../../shared/log.ts";
import { parseName } from "../../shared/name.ts";
import { MessageFrames, withLength } from "../../socks-proxy/transparent/tcp-frames.ts";
import { FakeStub } from "../../socks-proxy/transparent/testing/fake-stub.ts";
import { contextFor } from "../../socks-proxy/transparent/testing/start.ts";
import { startTransparent } from "../../socks-proxy/transparent/transparent.ts";

/**
 * The transparent mode in a network namespace, with a zone of its own, echo servers as its services, and a DNS server for the names
 * outside. Its argument is a directory for its state. Prints "ready" when all of it listens.
 */

const upstream = { host: "127.0.0.1", port: 5300 };
const stub = new FakeStub();

await startUpstream();
await startEcho();
stub.set(
  "web.shop.berth.internal",
  { protocol: "tcp", port: 80, to: 18_080 },
  { protocol: "tcp", port: 8080, to: 18_080 },
);
stub.set("echo.shop.berth.internal", { protocol: "udp", port: 77, to: 17_007 });
const log = createLog("transparent", "debug", (line) => console.log(line));
const running = await startTransparent(
  {
    dnsListen: { host: "127.64.0.1", port: Number(process.argv[3] ?? 53) },
    transparentRange: "127.64.0.0/10",
    transparentIpv6: "fd62:6572:7468::/64",
    upstreamDns: [upstream],
    stateDir: process.argv[2],
    resolveTimeout: 5,
    restartPatience: 10,
    drainTimeout: 0,
  },
  contextFor(stub, log),
);
process.once("SIGTERM", () => void running.close().then(() => process.exit(0)));
console.log("ready");

/** Answers every name with 192.0.2.7, and long.example.com with more than fits into a datagram. */
async function startUpstream(): Promise<void> {
  function answerTo(bytes: Uint8Array, byTcp: boolean): Uint8Array {
    const query = decodeQuery(bytes);
    const name = parseName(query.question?.name ?? ".");
    const count = name === "long.example.com." ? 60 : 1;
    const answer = Array.from({ length: count }, (_, i): RR => {
      return { name, ttl: 60, rdata: addressRdata(`192.0.2.${7 + i}` as Address) };
    });
    const parts = { rcode: 0, authoritative: false, answer, authority: [], additional: [] };
    const whole = encodeResponse(query, parts);
    if (byTcp || whole.length <= 1232) return whole;
    const cut = encodeResponse(query, { ...parts, answer: [] });
    cut[2] = (cut[2] ?? 0) | 2;
    return cut;
  }
  const udp = createSocket("udp4");
  udp.on("message", (message, from) => udp.send(answerTo(message, false), from.port, from.address));
  udp.bind(upstream.port, upstream.host);
  const tcp = createServer((socket) => {
    const frames = new MessageFrames();
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const message = frames.add(bytes).next();
      if (message !== undefined) socket.write(withLength(answerTo(message, true)));
    });
  }).listen(upstream.port, upstream.host);
  await Promise.all([once(udp, "listening"), once(tcp, "listening")]);
}

async function startEcho(): Promise<void> {
  const socket = createSocket("udp4");
  socket.on("message", (message, from) => socket.send(`echo ${message}`, from.port, from.address));
  socket.bind(17_007, "127.0.0.1");
  await once(socket, "listening");
}
