import { beforeEach, expect, test } from "vitest";

import { errorAnswer, FakeResolver } from "../testing/fake-resolver.ts";
import { hostId, signer } from "../testing/test-host.ts";
import { withdraw } from "./withdraw.ts";

const urls = ["https://a.example", "https://b.example"];
let resolver: FakeResolver;

beforeEach(() => {
  resolver = new FakeResolver(() => 0);
  resolver.registry.takeTurn({ epoch: 3, sequence: 9 });
});

function run(): Promise<boolean> {
  return withdraw(urls, { fetch: resolver.fetch, token: "secret", timeoutMs: 1_000, signer }, hostId);
}

const asked = () => resolver.requests.map(({ origin, turn }) => `${origin} ${turn}`);

test("takes over the turn of the process before, by a signed request", async () => {
  resolver.registry.grant("held");
  expect(await run()).toBe(true);
  expect(asked()).toEqual(["https://a.example 1.1", "https://a.example 4.2"]);
  expect(resolver.registry.held).toBeUndefined();
});

test("false when nothing is held", async () => {
  expect(await run()).toBe(false);
});

test("superseded again, another process is at work: its fault, and no third try", async () => {
  for (const heldEpoch of [3, 4])
    resolver.answers.push(errorAnswer(409, "superseded", { heldEpoch, leaseRemaining: 9 }));
  await expect(run()).rejects.toMatchObject({ code: "superseded" });
  expect(resolver.requests).toHaveLength(2);
});

test("the next resolver when one does not answer", async () => {
  resolver.registry.grant("held");
  resolver.down.add("https://a.example");
  expect(await run()).toBe(true);
  expect(asked().at(-1)).toBe("https://b.example 4.2");
});

test("what a resolver says is not asked of another; when none answers, the first one's fault counts", async () => {
  resolver.answers.push(errorAnswer(403, "host-not-allowed"));
  await expect(run()).rejects.toMatchObject({ code: "host-not-allowed" });
  expect(resolver.requests).toHaveLength(1);
  resolver.isDown = true;
  await expect(run()).rejects.toMatchObject({ code: "resolver-unreachable", who: "https://a.example" });
});
