import { expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import { addressRdata } from "../../shared/dns/endpoints.ts";
import { decodeQuery, encodeQuery, encodeResponse } from "../../shared/dns/message.ts";
import { parseName } from "../../shared/name.ts";
import { hostPartOf, parseIpv6Prefix, parseRange } from "./range.ts";
import { leadsToUs } from "./rebinding.ts";

const range = parseRange("127.64.0.0/10");
const prefix = parseIpv6Prefix("fd62:6572:7468::/64");
const name = parseName("evil.example");

function answerWith(...addresses: string[]): Uint8Array {
  const answer = addresses.map((address) => {
    return { name, ttl: 5, rdata: addressRdata(address as Address) };
  });
  const parts = { rcode: 0, authoritative: false, answer, authority: [], additional: [] };
  return encodeResponse(decodeQuery(encodeQuery(name, 1)), parts);
}

test.each([
  [["127.64.0.9"], true],
  [["192.0.2.1", "127.100.2.3"], true],
  [["192.0.2.1", "fd62:6572:7468::5"], true],
  // What lists of mail senders answer with.
  [["127.0.0.2", "127.255.255.254"], false],
  [["192.0.2.1", "2001:db8::1", "fd62:6572:7469::5"], false],
  [[], false],
])("an answer of %j leads to us: %s", (addresses, expected) => {
  const isOurs = (address: Address) => hostPartOf(address, range, prefix) !== undefined;
  expect(leadsToUs(answerWith(...addresses), isOurs)).toBe(expected);
});
