import { createSocket } from "node:dgram";
import { createServer } from "node:net";

import type { Address } from "../../shared/address.ts";
import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { decodeQuery, encodeResponse, type Query, type ResponseParts } from "../../shared/dns/message.ts";
import { isInZone, type Name, parseName } from "../../shared/name.ts";
import type { StandIn } from "./dns-stand-in.ts";

// A process of its own, so that it listens in the network namespace of the machine it stands in for. It prints every question.

const { address, port, answers } = JSON.parse(process.argv[2] ?? "") as StandIn;
const zones = Object.entries(answers).map(([zone, to]) => ({ zone: parseName(zone), to: to as Address }));
const socket = createSocket("udp4");

socket.on("message", (bytes, { address: asker, port: from }) => socket.send(answer(bytes), from, asker));
socket.bind(port, address);

// Whoever heard nothing by UDP may ask again by TCP.
const server = createServer((client) => {
  client.on("error", () => client.destroy());
  let received = Buffer.alloc(0);
  client.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE()) {
      const end = 2 + received.readUInt16BE();
      client.write(framed(answer(received.subarray(2, end))));
      received = received.subarray(end);
    }
  });
});
server.listen(port, address, () => console.log(`stands in at ${address}:${port}`));

function answer(bytes: Uint8Array): Uint8Array {
  const query = decodeQuery(bytes);
  console.log(`asked ${query.question?.name} ${query.question?.type}`);
  return encodeResponse(query, partsFor(query));
}

/** RFC 1035 §4.2.2. */
function framed(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message]);
}

/** One A record for every name of its zones; of the others it says that there are none. */
function partsFor({ question }: Query): ResponseParts {
  const parts = { authoritative: true, answer: [], authority: [], additional: [] };
  const name = parseName(question?.name ?? ".");
  const found = zones.find(({ zone }) => isInZone(name, zone));
  if (found === undefined) return { ...parts, rcode: Rcode.NXDomain };
  if (question?.type !== RRType.A) return { ...parts, rcode: Rcode.NoError };
  return { ...parts, rcode: Rcode.NoError, answer: [addressOf(name, found.to)] };
}

function addressOf(name: Name, address: Address) {
  return { name, ttl: 1, rdata: { type: RRType.A, address } };
}
