import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { type Address, parseAddress } from "../../shared/address.ts";
import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { messageFromRequest, responseFromMessage } from "../../shared/dns/doh.ts";
import { portListOwner, serviceOwner } from "../../shared/dns/endpoints.ts";
import { decodeQuery, encodeResponse, type RR } from "../../shared/dns/message.ts";
import { displayName, type Name, parseName } from "../../shared/name.ts";

/** A resolver that answers for the records a test gives it: real DNS messages over real HTTP. */
export interface TestResolver {
  url: string;
  records: RR[];
  /** Names whose queries get this rcode instead, or no answer at all. */
  faults: Map<string, number | "silence">;
  /** Leaves the additional section out, as a resolver does when the message would grow too long. */
  bare: boolean;
  /** Answers 401 to whoever does not present it. */
  token?: string;
  /** "TYPE name" of every query, in the order they came. */
  queries: string[];
  close(): void;
}

export async function startResolver(records: RR[] = []): Promise<TestResolver> {
  const server = createServer((request, response) => void answer(resolver, request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const resolver: TestResolver = {
    url: `http://127.0.0.1:${port}`,
    records,
    faults: new Map(),
    bare: false,
    queries: [],
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
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

async function answer(resolver: TestResolver, incoming: IncomingMessage, outgoing: ServerResponse) {
  if (resolver.token !== undefined && incoming.headers.authorization !== `Bearer ${resolver.token}`) {
    return void incoming.resume().on("end", () => outgoing.writeHead(401).end());
  }
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
  resolver.queries.push(`${typeName(type)} ${displayName(name)}`);
  const fault = resolver.faults.get(displayName(name));
  if (fault === "silence") return;
  const sections = fault === undefined ? lookup(resolver, name, type) : { rcode: fault, answer: [] };
  const additional = resolver.bare ? [] : targetAddresses(resolver, sections.answer);
  const message = encodeResponse(query, { ...sections, authoritative: true, authority: [], additional });
  const response = responseFromMessage(new Uint8Array(message), 0);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(new Uint8Array(await response.arrayBuffer()));
}

function lookup({ records }: TestResolver, name: Name, type: number): { rcode: number; answer: RR[] } {
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
