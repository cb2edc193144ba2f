import { expect, test } from "vitest";
import { addressOf } from "../client/testing/doh-server.ts";
import { refusalText } from "./log-line.ts";

function publishes(count: number): string {
  return refusalText({
    kind: "port-not-published",
    published: Array.from({ length: count }, (_, i) => i + 1),
  });
}

test("ports that are published are listed up to ten, the others counted", () => {
  expect(publishes(0)).toBe("it publishes no TCP port");
  expect(publishes(2)).toMatch(/publishes 1, 2$/);
  expect(publishes(10)).toMatch(/ 9, 10$/);
  expect(publishes(3_000)).toMatch(/publishes 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2990 more$/);
});

test("failures are listed up to five, the others counted", () => {
  const failure = { candidate: { address: addressOf("::1"), port: 80 }, errno: "ECONNREFUSED" };
  const text = refusalText({ kind: "connect-failed", failures: Array(64).fill(failure) });
  expect(text).toMatch(/^no connection: \[::1\]:80 ECONNREFUSED, .* and 59 more$/);
});
