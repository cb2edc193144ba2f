import { expect, test } from "vitest";
import { addressOf } from "../../client/testing/doh-server.ts";
import { granted, type Refusal, refused, replyCodeFor } from "./reply.ts";

const table: [desc: string, refusal: Refusal, rep: number][] = [
  ["a request that breaks RFC 1928", { kind: "malformed-request", reason: "" }, 1],
  ["the resolver did not answer", { kind: "no-answer", reason: "" }, 1],
  ["the resolver wants a token", { kind: "no-token", reason: "" }, 1],
  ["too many connections", { kind: "too-many", what: "connections" }, 1],
  ["a fault of the proxy's own", { kind: "own-fault", reason: "" }, 1],
  ["a password that cannot be given", { kind: "authentication-required" }, 2],
  ["denied by policy", { kind: "not-allowed" }, 2],
  ["a name that cannot be one", { kind: "bad-name", reason: "" }, 4],
  ["NXDOMAIN or NODATA", { kind: "not-found", reason: "" }, 4],
  ["another port than those published", { kind: "port-not-published", published: [80] }, 5],
  ["BIND", { kind: "command-not-supported", command: 2 }, 7],
  ["an address type nobody knows", { kind: "address-type-not-supported", addressType: 9 }, 8],
  ["refused", failed("ECONNREFUSED"), 5],
  ["no route to the network", failed("ENETUNREACH"), 3],
  ["no route to the host", failed("EHOSTUNREACH"), 4],
  ["time-out", failed("ETIMEDOUT"), 4],
  ["a fault of this machine", failed("EMFILE"), 1],
  ["no endpoint could be tried", failed(), 1],
  ["5 before 4", failed("EHOSTUNREACH", "ECONNREFUSED"), 5],
  ["4 before 3", failed("ETIMEDOUT", "ENETUNREACH"), 4],
  ["3 before 1", failed("EACCES", "ENETUNREACH"), 3],
  ["5 before all", failed("EACCES", "ENETUNREACH", "ECONNREFUSED", "ETIMEDOUT"), 5],
];

test.each(table)("%s", (_desc, refusal, rep) => {
  expect(replyCodeFor(refusal)).toBe(rep);
});

test("SOCKS4 has one code for all of them", () => {
  for (const [, refusal] of table) expect([...refused("socks4", refusal)]).toEqual([0, 91, 0, 0, 0, 0, 0, 0]);
});

test("in each protocol a request is granted in its own words", () => {
  const bound = { address: addressOf("10.0.0.5"), port: 443 };
  expect([...granted("socks5", bound)]).toEqual([5, 0, 0, 1, 10, 0, 0, 5, 1, 187]);
  expect([...granted("socks4", bound)]).toEqual([0, 90, 1, 187, 10, 0, 0, 5]);
});

function failed(...errnos: string[]): Refusal {
  const candidate = { address: addressOf("10.0.0.5"), port: 80 };
  return { kind: "connect-failed", failures: errnos.map((errno) => ({ candidate, errno })) };
}
