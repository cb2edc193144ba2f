import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { Address } from "../shared/address.ts";
import { BerthError } from "../shared/errors.ts";
import type { SiteAddresses } from "./site.ts";
import { troublesOf } from "./status/agent-status.ts";
import { statusOf } from "./status/status-of.ts";
import { AgentStand } from "./testing/agent-stand.ts";
import { FakeEngine } from "./testing/fake-engine.ts";

// An engine elsewhere whose own address is not known: it must not count as one without containers.

const found: SiteAddresses = { addresses: ["10.0.0.77" as Address], local: false };

let stand: AgentStand;
let remote: FakeEngine;
let lookUp: () => Promise<SiteAddresses>;

beforeEach(() => {
  stand = new AgentStand();
  remote = new FakeEngine();
  remote.put("far", at("32769"));
  lookUp = async () => found;
  stand.engines = [{ label: "nas", engine: remote, readSite: () => lookUp(), isHere: false }];
});
afterEach(() => stand.end());

const at = (port: string) => ({ ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: port }] } });
const names = () => new Set(stand.declared?.bindings.map(({ name }) => name.split(".")[0]));
const messages = () => stand.declared?.problems.map(({ message }) => message);

function troubles(): string[] {
  const { clock, reconciler } = stand;
  const subject = { version: "0.1.0", hostId: "a".repeat(52), hostLabel: "alpha", startedAt: 0, reconciler };
  return troublesOf(statusOf(subject, clock.now()));
}

const noAddress = async (): Promise<SiteAddresses> => {
  throw new BerthError("no-address", "the engine's host has no address", { cause: new Error("ENOTFOUND") });
};

describe("an engine alone", () => {
  test("is declared once its address is known, and nothing is pushed before, not even an empty set", async () => {
    const { promise, resolve } = Promise.withResolvers<SiteAddresses>();
    lookUp = () => promise;
    stand.start();
    await stand.clock.advance(20_000);
    expect(stand.resolver.requests).toEqual([]);
    expect(troubles()).toContain(
      "the addresses of the engine nas cannot be told: they were not looked up yet",
    );
    resolve(found);
    await stand.clock.advance(100);
    expect(stand.declared?.bindings[0]).toMatchObject({ container: "far", addresses: ["10.0.0.77"] });
    expect(troubles()).toEqual([]);
  });

  test("at no address that can be found is a problem past the grace, and a trouble from the first look", async () => {
    lookUp = noAddress;
    stand.start();
    await stand.clock.advance(59_900);
    expect(stand.resolver.requests).toEqual([]);
    const trouble =
      "the addresses of the engine nas cannot be told: the engine's host has no address: ENOTFOUND";
    expect(troubles()).toContain(trouble);
    await stand.clock.advance(200);
    expect(stand.declared?.bindings).toEqual([]);
    expect(messages()).toEqual([
      "the container engine is at no address that is known yet, so its containers are not declared: the engine's host has no address: ENOTFOUND",
    ]);
    expect(troubles()).toEqual([trouble]);
    lookUp = async () => found;
    await stand.clock.advance(30_000);
    expect(names()).toEqual(new Set(["far"]));
    expect(messages()).toEqual([]);
  });

  test("keeps the address it had when it cannot be looked up again, and status says so", async () => {
    stand.start();
    await stand.clock.advance(2_000);
    lookUp = noAddress;
    await stand.clock.advance(120_000);
    expect(names()).toEqual(new Set(["far"]));
    expect(troubles()).toEqual([expect.stringContaining("the engine nas cannot be told")]);
  });
});

describe("one of two engines", () => {
  const keys = () => stand.reconciler.last?.outcome.relays.map(({ key }) => key);

  beforeEach(() => {
    const near = { label: "docker", engine: stand.engine, readSite: undefined, isHere: true };
    stand.engines = [near, ...stand.engines];
    stand.addresses = async () => ({ addresses: ["127.0.0.1" as Address], local: true });
    stand.engine.put("near", {
      ...{ labels: { "berth.publish": "8080" }, networks: { bridge: { IPAddress: "127.0.0.1" } } },
      ...at("32768"),
    });
  });

  test.each([
    ["is still looked up", () => new Promise<SiteAddresses>(() => {})],
    ["is not found", noAddress],
  ])("whose address %s: the other's relays have the keys they will keep", async (_, look) => {
    let isKnown = false;
    const { promise, resolve } = Promise.withResolvers<SiteAddresses>();
    lookUp = () => (isKnown ? promise : Promise.race([look(), promise]));
    stand.start();
    await stand.clock.advance(4_900);
    expect(stand.declared).toBeUndefined();
    await stand.clock.advance(200);
    await expect.poll(names).toEqual(new Set(["near"]));
    expect(keys()).toEqual(["docker/near/8080/tcp"]);
    expect(messages()?.[0]).toMatch(/^the container engine nas is at no address that is known yet/);
    expect(troubles()).toEqual([expect.stringMatching(/^the addresses of the engine nas cannot be told/)]);
    isKnown = true;
    resolve(found);
    await stand.clock.advance(30_000);
    expect(names()).toEqual(new Set(["near", "far"]));
    expect(keys()).toEqual(["docker/near/8080/tcp"]);
    expect(troubles()).toEqual([]);
  });

  test("whose look-up fails after the others have spoken: the problem then says why", async () => {
    const { promise, reject } = Promise.withResolvers<SiteAddresses>();
    lookUp = () => promise;
    stand.start();
    await stand.clock.advance(5_100);
    await expect.poll(messages).toEqual([expect.stringMatching(/so its containers are not declared$/)]);
    reject(new Error("no answer within 5 s"));
    await stand.clock.advance(1_000);
    expect(messages()).toEqual([expect.stringMatching(/not declared: no answer within 5 s$/)]);
  });
});
