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

function isOurs(address: Address): boolean {
  return hostPartOf(address, range, prefix) !== undefined;
}

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
  expect(leadsToUs(answerWith(...addresses), isOurs)).toBe(expected);
});

test.each([
  // TargetName ".", alpn=h2, ipv4hint=192.0.2.1,127.100.2.3 (RFC 9460 §7.3).
  ["0001 00 0001 0003 026832 0004 0008 c0000201 7f640203", true],
  ["0001 00 0001 0003 026832 0004 0008 c0000201 7f000002", false],
  // ipv6hint=fd62:6572:7468::5.
  ["0001 00 0006 0010 fd626572746800000000000000000005", true],
  // ipv6hint=::ffff:127.100.2.3, which is the IPv4 address.
  ["0001 00 0006 0010 00000000000000000000ffff7f640203", true],
])("an HTTPS RR of %s leads to us: %s", (rdata, expected) => {
  const octets = Buffer.from(rdata.replaceAll(" ", ""), "hex");
  // NAME, TYPE, CLASS, TTL, RDLENGTH.
  const start = Buffer.from("c00c004100010000000500", "hex");
  const answer = Buffer.concat([answerWith(), start, Buffer.from([octets.length]), octets]);
  expect(leadsToUs(answer, isOurs)).toBe(expected);
});
