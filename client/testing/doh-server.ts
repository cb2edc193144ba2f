import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

import { type Address, parseAddress } from "../../shared/address.ts";
import { changesPath, eventStreamType } from "../../shared/changes.ts";
import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { dohPath, messageFromRequest, responseFromMessage } from "../../shared/dns/doh.ts";
import { portListOwner, serviceOwner } from "../../shared/dns/endpoints.ts";
import { decodeQuery, encodeResponse, type RR } from "../../shared/dns/message.ts";
import { displayName, type Name, parseName } from "../../shared/name.ts";

/** A resolver that answers for the records a test gives it: real DNS messages over real HTTP. */
export interface TestResolver {
  url: string;
  records: RR[];
  /** Names whose queries get this rcode instead, or no answer at all. */
  faults: Map<string, number | "silence">;
  /** Types of queries that get SERVFAIL. */
  failTypes: Set<number>;
  /** The answer to every query, whatever it asks. */
  answersAlways: RR[] | undefined;
  /** Leaves the additional section out, as a resolver does when the message would grow too long. */
  bare: boolean;
  /** Answers 401 to whoever does not present it. */
  token?: string;
  /** "TYPE name" of every query, in the order they came. */
  queries: string[];
  /** The same of those that asked past every cache. */
  freshQueries: string[];
  /** Header fields of every answer besides its own. */
  headers: Record<string, string>;
  /** Breaks the connection of the next request, as the end of a process would that had kept it. */
  dropNext: boolean;
  /** Answers wait for it. */
  held: Promise<unknown>;
  /** What GET /v1/zones answers; undefined as an older resolver does, which has neither zones nor names. */
  zones: string[] | undefined;
  /** How many requests came, of any kind. */
  requests: number;
  /** The server names that TLS clients asked for (RFC 6066 §3). */
  serverNames: string[];
  /** Paths of all requests that were not DoH, in the order they came. */
  paths: string[];
  /** Readers of the change feed, oldest first; each began with a snapshot. */
  readers: ServerResponse[];
  /** Tells every reader of the change feed that these names changed. */
  tell(gone: string[]): void;
  /** Accepted connections, those that are closed included. */
  connections(): number;
  close(): void;
}

/** At a free loopback port, or at the one given; with `tls` over HTTPS. */
export async function startResolver(
  records: RR[] = [],
  { port = 0, tls }: { port?: number; tls?: { cert: string; key: string } } = {},
): Promise<TestResolver> {
  const serve = (request: IncomingMessage, response: ServerResponse) =>
    void route(resolver, request, response);
  const server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve);
  let connections = 0;
  server.on("connection", () => connections++);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const { port: listening } = server.address() as AddressInfo;
  const resolver: TestResolver = {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${listening}`,
    records,
    faults: new Map(),
    failTypes: new Set(),
    answersAlways: undefined,
    bare: false,
    queries: [],
    freshQueries: [],
    headers: {},
    dropNext: false,
    held: Promise.resolve(),
    zones: ["berth.internal"],
    requests: 0,
    serverNames: [],
    paths: [],
    readers: [],
    tell(gone) {
      const data = JSON.stringify({ revision: ++revision, services: [], gone });
      for (const reader of resolver.readers) {
        reader.write(`id: g.${revision}\nevent: change\ndata: ${data}\n\n`);
      }
    },
    connections: () => connections,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
  let revision = 1;
  return resolver;
}

export function addressRecord(name: string, text: string): RR {
  const address = addressOf(text);
  const type = address.includes(":") ? RRType.AAAA : RRType.A;
  return { name: parseName(name), ttl: 5, rdata: { type, address } };
}

/** All records of one service port: SRV and port list, and the address of each endpoint's target. */
export function serviceRecords(
  name: string,
  servicePort: number,
  endpoints: { address: string; port: number; priority?: number; weight?: number }[],
  protocol: "tcp" | "udp" = "tcp",
): RR[] {
  const owner = serviceOwner(parseName(name), protocol, servicePort);
  const list = portListOwner(parseName(name), protocol);
  const services = endpoints.flatMap(({ address, port, priority = 0, weight = 0 }) => {
    const target = parseName(`host-${address.replace(/[.:]+/g, "-")}x.host.berth.internal`);
    const srv: RR = { name: owner, ttl: 5, rdata: { type: RRType.SRV, priority, weight, port, target } };
    return [srv, addressRecord(displayName(target), address)];
  });
  return [{ name: list, ttl: 5, rdata: { type: RRType.PTR, target: owner } }, ...services];
}

export function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is not an address`);
  return address;
}

async function route(resolver: TestResolver, incoming: IncomingMessage, outgoing: ServerResponse) {
  const { url = "/", socket } = incoming;
  resolver.requests++;
  if ("servername" in socket && typeof socket.servername === "string") {
    resolver.serverNames.push(socket.servername);
  }
  if (resolver.dropNext) {
    resolver.dropNext = false;
    return void incoming.socket.destroy();
  }
  const isDoh = url.startsWith(dohPath);
  if (!isDoh) resolver.paths.push(url);
  await resolver.held;
  const isBearer = incoming.headers.authorization === `Bearer ${resolver.token}`;
  if (resolver.token !== undefined && !isBearer) {
    const refusal = JSON.stringify({ error: { code: "unknown-token", message: "no such token" } });
    return void incoming.resume().on("end", () => outgoing.writeHead(401).end(refusal));
  }
  if (isDoh) return answer(resolver, incoming, outgoing);
  if (url === changesPath && resolver.token !== undefined) return feed(resolver, outgoing);
  const found = resolver.zones === undefined ? undefined : viewAt(resolver, url);
  const [status, body] = found ?? [404, fault("not-found")];
  outgoing.writeHead(status, { "content-type": "application/json", ...resolver.headers });
  outgoing.end(JSON.stringify(body));
}

function viewAt(resolver: TestResolver, url: string): [number, object] | undefined {
  if (url === "/v1/zones") return [200, { zones: resolver.zones }];
  const [, shown] = /^\/v1\/names\/(.+)$/.exec(url) ?? [];
  if (shown === undefined) return undefined;
  const ports = (["tcp", "udp"] as const).flatMap((protocol) => {
    const list = portListOwner(parseName(shown), protocol);
    const owners = resolver.records.filter(({ name }) => name === list);
    return owners.map(({ rdata }) => ({
      protocol,
      servicePort: Number("target" in rdata && /^_(\d+)/.exec(rdata.target)?.[1]),
    }));
  });
  if (ports.length === 0) return [404, fault("unknown-name")];
  return [200, { revision: 1, zone: resolver.zones?.[0], name: shown, ports }];
}

function fault(code: string): object {
  return { error: { code, message: `it is ${code}` } };
}

function feed(resolver: TestResolver, outgoing: ServerResponse): void {
  outgoing.writeHead(200, { "content-type": eventStreamType });
  outgoing.write(`id: g.1\nevent: snapshot\ndata: {"revision":1,"services":[]}\n\n`);
  resolver.readers.push(outgoing);
  outgoing.on("close", () => resolver.readers.splice(resolver.readers.indexOf(outgoing), 1));
}

async function answer(resolver: TestResolver, incoming: IncomingMessage, outgoing: ServerResponse) {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const request = new Request(new URL(incoming.url ?? "/", resolver.url), {
    method: "POST",
    headers: { "content-type": incoming.headers["content-type"] ?? "" },
    body: new Uint8Array(Buffer.concat(chunks)),
  });
  const query = decodeQuery(await messageFromRequest(request));
  const name = parseName(query.question?.name ?? ".");
  const type = query.question?.type ?? 0;
  const shown = `${typeName(type)} ${displayName(name)}`;
  resolver.queries.push(shown);
  if (incoming.headers["cache-control"] === "no-cache") resolver.freshQueries.push(shown);
  const failure = resolver.failTypes.has(type) ? Rcode.ServFail : undefined;
  const fault = resolver.faults.get(displayName(name)) ?? failure;
  if (fault === "silence") return;
  const sections = fault === undefined ? lookup(resolver, name, type) : { rcode: fault, answer: [] };
  const additional = resolver.bare ? [] : targetAddresses(resolver, sections.answer);
  const message = encodeResponse(query, { ...sections, authoritative: true, authority: [], additional });
  const maxAge = Math.min(60, ...sections.answer.map(({ ttl }) => ttl));
  const response = responseFromMessage(new Uint8Array(message), maxAge);
  outgoing.writeHead(response.status, { ...Object.fromEntries(response.headers), ...resolver.headers });
  outgoing.end(new Uint8Array(await response.arrayBuffer()));
}

function lookup(
  { records, answersAlways }: TestResolver,
  name: Name,
  type: number,
): { rcode: number; answer: RR[] } {
  if (answersAlways !== undefined) return { rcode: Rcode.NoError, answer: answersAlways };
  const answer = records.filter((record) => record.name === name && record.rdata.type === type);
  const exists = records.some((record) => record.name === name || record.name.endsWith(`.${name}`));
  return { rcode: exists ? Rcode.NoError : Rcode.NXDomain, answer };
}

function targetAddresses({ records }: TestResolver, answer: RR[]): RR[] {
  const targets = answer.flatMap(({ rdata }) => (rdata.type === RRType.SRV ? [rdata.target] : []));
  return records.filter(({ name, rdata }) => targets.includes(name) && "address" in rdata);
}

function typeName(type: number): string {
  return Object.entries(RRType).find(([, value]) => value === type)?.[0] ?? `TYPE${type}`;
}
