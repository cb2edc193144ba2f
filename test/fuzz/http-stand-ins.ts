import type { Destination } from "../../client/answers/destination.ts";
import type { ConnectOptions, ConnectOutcome, Connector } from "../../client/connect/connector.ts";
import { parseAddress } from "../../shared/address.ts";
import { destinationText } from "../../socks-proxy/log-line.ts";
import { caseOf, chunksOf } from "./cases.ts";
import { serviceName } from "./exchanges.ts";
import { httpReplies } from "./http-exchanges.ts";
import { type MemorySocket, memoryChannel, memoryPair } from "./memory-channel.ts";
import type { MemoryWire } from "./memory-wire.ts";

/** One connection that the proxy made to a server, as that server saw it. */
export interface ServedUpstream {
  destination: string;
  received: Buffer[];
  far: MemorySocket;
}

const address = parseAddress("192.0.2.7");
if (address === undefined) throw new Error("no address");
const candidate = { address, port: 80 };

/** How it may go with a destination that is not the service of the exchanges. */
const outcomes: readonly (ConnectOutcome | "connected")[] = [
  "connected",
  "connected",
  { kind: "connect-failed", failures: [{ candidate, errno: "ECONNREFUSED" }] },
  { kind: "connect-failed", failures: [{ candidate, errno: "ETIMEDOUT" }] },
  { kind: "not-found", reason: "nobody has it" },
  { kind: "port-not-published", published: [80, 443] },
  { kind: "no-answer", reason: "nobody answers" },
  { kind: "bad-name", reason: "it is no name" },
  { kind: "no-token", reason: "there is none" },
];

/** What one case's servers have in common. */
export interface MemoryServers {
  wire: MemoryWire;
  /** Chosen for the case: what comes of a destination, and what its server says, hangs on this and on what is asked, and on nothing else. */
  chosen: number;
  /** Nothing comes of anything before. */
  mayAnswer: Promise<void>;
  /** Connections are added as they are made. */
  served: ServedUpstream[];
}

export function memoryConnector(servers: MemoryServers): Connector {
  return {
    async connect(destination, { signal, dial, judge = (found) => found }): Promise<ConnectOutcome> {
      await servers.mayAnswer;
      if (signal.aborted) return { kind: "connect-failed", failures: [] };
      const outcome = outcomeFor(destination, servers.chosen);
      if (outcome !== "connected") return outcome;
      const endpoints = [{ addresses: [candidate.address], port: candidate.port, priority: 0, weight: 0 }];
      const judged = judge({ kind: "endpoints", endpoints, inZone: true }, destination);
      if (judged.kind !== "endpoints") return judged;
      return { kind: "connected", upstream: connectTo(destination, dial, servers).asSocket(), candidate };
    },
  };
}

function outcomeFor(destination: Destination, chosen: number): ConnectOutcome | "connected" {
  if (destination.kind === "name" && destination.name === serviceName) return "connected";
  return outcomes[((hashOf(destinationText(destination)) ^ chosen) >>> 0) % outcomes.length] ?? "connected";
}

function connectTo(
  destination: Destination,
  dial: ConnectOptions["dial"],
  { wire, served, chosen }: MemoryServers,
): MemorySocket {
  const [near, far] = memoryPair(wire);
  const upstream: ServedUpstream = { destination: destinationText(destination), received: [], far };
  served.push(upstream);
  // Whoever brings a way of making connections wants a channel, not a stream.
  if (dial !== undefined) memoryChannel(near);
  far.on("end", () => far.end());
  // All that is there is looked at together, however it was cut; what becomes of it comes a turn later.
  let seen = 0;
  const serve = dial === undefined ? answerRequests(far, chosen) : answerTunnel(far, chosen);
  far.on("data", (chunk: Buffer) => {
    if (upstream.received.push(chunk) - seen > 1) return;
    wire.deliver(() => {
      const fresh = Buffer.concat(upstream.received.slice(seen));
      seen = upstream.received.length;
      serve(fresh);
    });
  });
  return near;
}

/** A reply for each head; behind a body nothing is looked for. */
function answerRequests(far: MemorySocket, chosen: number): (fresh: Buffer) => void {
  let unread = "";
  let hasBody = false;
  return function serve(fresh) {
    if (hasBody) return;
    unread += fresh.toString("latin1");
    for (;;) {
      const end = unread.indexOf("\r\n\r\n");
      if (end === -1 || hasBody) return;
      const head = unread.slice(0, end);
      unread = unread.slice(end + 4);
      hasBody = /^(?:content-length|transfer-encoding):/im.test(head);
      reply(far, head, chosen);
    }
  };
}

/** Says again what it hears, but for a request to speak another protocol, which is agreed to or not. */
function answerTunnel(far: MemorySocket, chosen: number): (fresh: Buffer) => void {
  let isFirst = true;
  return function serve(fresh) {
    const head = isFirst ? fresh.toString("latin1") : "";
    isFirst = false;
    if (/\r\nConnection: Upgrade\r\nUpgrade: /.test(head))
      reply(far, head.slice(0, head.indexOf("\r\n\r\n")), chosen);
    else if (far.writable) far.write(fresh);
  };
}

/** Half of the servers answer as they should, one in sixteen nothing. */
function reply(far: MemorySocket, head: string, chosen: number): void {
  const hash = (hashOf(withoutProxyName(head)) ^ chosen) >>> 0;
  if (!far.writable || hash % 16 === 0) return;
  const { originals } = httpReplies;
  const mutated = caseOf(hash, 0, httpReplies);
  const isRight = hash % 2 === 1;
  const original = originals[(hash >>> 4) % originals.length] ?? mutated.bytes;
  const chunks = isRight ? [original] : chunksOf(mutated);
  for (const chunk of chunks) far.write(chunk);
  const ending = isRight ? (hash & 2) === 0 && "half-close" : mutated.ending;
  if (ending === "half-close") far.end();
  if (ending === "reset") far.resetAndDestroy();
}

/** A proxy gives itself a name by chance, which is in what it passes on. */
export function withoutProxyName(text: string): string {
  return text.replaceAll(/\bberth-[0-9a-f]{8}\b/g, "berth-proxy");
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  // The lowest bits alone are no better than those of the text.
  return (hash ^ (hash >>> 15)) >>> 0;
}
