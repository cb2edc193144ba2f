import { expect, test } from "vitest";
import { addressOf } from "../testing/doh-server.ts";
import { connectFault } from "./connect-fault.ts";
import type { PlanEnd } from "./connect-plan.ts";

const web = { kind: "name", name: "web.berth.internal", port: 80 } as const;

test.each<[PlanEnd, string, string]>([
  [{ kind: "not-found", reason: "nothing is published" }, "ENOTFOUND", "nothing is published"],
  [{ kind: "bad-name", reason: "it is empty" }, "ENOTFOUND", "it is no name: it is empty"],
  [{ kind: "no-answer", reason: "no reply" }, "EAI_AGAIN", "no reply"],
  [{ kind: "no-token", reason: "it wants one" }, "no-token", "it wants one"],
  [{ kind: "not-allowed" }, "EACCES", "it is not allowed"],
  [
    { kind: "port-not-published", published: [] },
    "ECONNREFUSED",
    "the name does not publish TCP port 80; it publishes none",
  ],
  [
    { kind: "port-not-published", published: [22, 443] },
    "ECONNREFUSED",
    "the name does not publish TCP port 80; it publishes 22, 443",
  ],
  [{ kind: "connect-failed", failures: [] }, "EHOSTUNREACH", "it has no endpoint to connect to"],
])("%j has the code and the words for it", (outcome, code, text) => {
  const fault = connectFault(web, outcome);
  expect(fault).toMatchObject({ code, who: "web.berth.internal", facts: { reason: outcome.kind } });
  expect(fault.message).toBe(`web.berth.internal:80: ${text}`);
});

test("of several failures the one that came nearest speaks, and the first few are named", () => {
  const errnos = ["ENETUNREACH", "ETIMEDOUT", "ECONNREFUSED", "EHOSTUNREACH", "EHOSTUNREACH", "EHOSTUNREACH"];
  const failures = errnos.map((errno, host) => ({
    candidate: { address: addressOf(`10.0.0.${host}`), port: 9 },
    errno,
  }));
  const fault = connectFault(web, { kind: "connect-failed", failures });
  expect(fault).toMatchObject({ code: "ECONNREFUSED", retryable: true, facts: { failures } });
  expect(fault.message).toBe(
    "web.berth.internal:80: no endpoint accepts the connection: 10.0.0.0:9 ENETUNREACH, 10.0.0.1:9 ETIMEDOUT, " +
      "10.0.0.2:9 ECONNREFUSED, 10.0.0.3:9 EHOSTUNREACH and 2 more",
  );
});

test("a failure that has no rank speaks for itself", () => {
  const failures = [{ candidate: { address: addressOf("2001:db8::1"), port: 9 }, errno: "EMFILE" }];
  const outcome = { kind: "connect-failed", failures } as const;
  expect(
    connectFault({ kind: "address", address: addressOf("2001:db8::1"), port: 9 }, outcome),
  ).toMatchObject({
    code: "EMFILE",
    who: "2001:db8::1",
    message: expect.stringContaining("[2001:db8::1]:9 EMFILE"),
  });
});
