import { expect, test } from "vitest";

import { RRType } from "../../shared/dns/constants.ts";
import { freshnessOf } from "../../shared/dns/doh.ts";
import type { Response as DnsResponse, RR } from "../../shared/dns/message.ts";
import { parseName } from "../../shared/name.ts";
import { addressRecord, serviceRecords } from "../testing/doh-server.ts";
import { lifetimeOf } from "./lifetime.ts";

const name = parseName("web.berth.internal");
const fresh = { age: 0, maxAge: undefined };
const hour = 3_600_000;

function response(parts: Partial<DnsResponse>): DnsResponse {
  return { rcode: 0, truncated: false, answer: [], authority: [], additional: [], ...parts };
}

function records(ttl: number): RR[] {
  return serviceRecords("web.berth.internal", 80, [{ address: "10.0.0.5", port: 80 }]).map((rr) => ({
    ...rr,
    ttl,
  }));
}

function soa(ttl: number, minimum: number): RR {
  const numbers = { serial: 1, refresh: 1, retry: 1, expire: 1, minimum };
  return { name, ttl, rdata: { type: RRType.SOA, soa: { mname: name, rname: name, ...numbers } } };
}

test.each([
  [0, { goodMs: 0, staleMs: 0 }],
  [1, { goodMs: 1_000, staleMs: 10_000 }],
  [2, { goodMs: 2_000, staleMs: hour }],
  [5, { goodMs: 5_000, staleMs: hour }],
  [2 ** 31 - 1, { goodMs: hour, staleMs: hour }],
])("a TTL of %i s: %o", (ttl, lifetime) => {
  expect(lifetimeOf(response({ answer: records(ttl) }), fresh)).toEqual(lifetime);
});

test("the least TTL counts, of the addresses that came along as well, but not of what else did", () => {
  const [answer, additional] = [records(5), [{ ...addressRecord("a.berth.internal", "10.0.0.5"), ttl: 2 }]];
  expect(lifetimeOf(response({ answer, additional }), fresh).goodMs).toBe(2_000);
  const text: RR = { name, ttl: 1, rdata: { type: RRType.TXT, texts: ["x"] } };
  expect(lifetimeOf(response({ answer, additional: [text] }), fresh).goodMs).toBe(5_000);
});

test.each([
  ["NXDOMAIN", 3],
  ["NODATA", 0],
])(
  "%s is kept for the least of the SOA's TTL and minimum, a second without one, and never stands in",
  (_, rcode) => {
    const good = (authority: RR[]) => lifetimeOf(response({ rcode, authority }), fresh);
    expect(good([soa(1, 3)])).toEqual({ goodMs: 1_000, staleMs: 0 });
    expect(good([soa(3, 2)])).toEqual({ goodMs: 2_000, staleMs: 0 });
    expect(good([soa(86_400, 86_400)])).toEqual({ goodMs: 5_000, staleMs: 0 });
    expect(good([])).toEqual({ goodMs: 1_000, staleMs: 0 });
  },
);

test.each([
  ["Age", { age: "2", "cache-control": "max-age=5" }, 3_000],
  ["an Age beyond the TTL", { age: "7" }, -2_000],
  ["a max-age below the TTL", { "cache-control": "public, max-age=2" }, 2_000],
  ["a max-age above the TTL", { "cache-control": 'max-age="60"' }, 5_000],
  ["an s-maxage, which is not for us", { "cache-control": "s-maxage=2" }, 5_000],
  ["no-store", { "cache-control": "max-age=60, no-store" }, 0],
  ["an Age that is none", { age: "-3, x" }, 5_000],
])("HTTP's say counts: %s", (_, headers, goodMs) => {
  const http = freshnessOf(new Headers(headers));
  expect(lifetimeOf(response({ answer: records(5) }), http).goodMs).toBe(goodMs);
});
