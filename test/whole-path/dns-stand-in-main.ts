import { createSocket } from "node:dgram";

import type { Address } from "../../shared/address.ts";
import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { decodeQuery, encodeResponse, type Query, type ResponseParts } from "../../shared/dns/message.ts";
import { isInZone, type Name, parseName } from "../../shared/name.ts";
import type { StandIn } from "./dns-stand-in.ts";

// A process of its own, so that it listens in the network namespace of the machine it stands in for. It prints every question.

const { address, port, answers } = JSON.parse(process.argv[2] ?? "") as StandIn;
const zones = Object.entries(answers).map(([zone, to]) => ({ zone: parseName(zone), to: to as Address }));
const socket = createSocket("udp4");

socket.on("message", (bytes, { address: asker, port: from }) => {
  const query = decodeQuery(bytes);
  console.log(`asked ${query.question?.name} ${query.question?.type}`);
  socket.send(encodeResponse(query, partsFor(query)), from, asker);
});
socket.bind(port, address, () => console.log(`stands in at ${address}:${port}`));

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
