import { expect, test } from "vitest";
import type { Address } from "../../shared/address.ts";
import type { Name } from "../../shared/name.ts";
import { containerOf, inputOf, rulesOf } from "../testing/builders.ts";
import { declare } from "./declare.ts";
import type { CheckState, DeclaredService, ServiceCheck } from "./input.ts";
import { checksOfService } from "./services.ts";

const check: ServiceCheck = { httpPath: undefined, intervalMs: 10_000, timeoutMs: 3_000 };
/** As `inputOf` has them. */
const site = { addresses: ["10.0.0.5", "fd00::5"] as Address[], local: false };
const serviceOf = (given: Partial<DeclaredService> = {}): DeclaredService => ({
  ...{
    id: "db.toml#1",
    names: ["db.lab.berth.internal." as Name],
    protocol: "tcp",
    servicePort: 5432,
    port: 15432,
  },
  ...{ addresses: undefined, check: undefined, tls: false, txt: [], priority: 0, weight: 1, ...given },
});
const namesOf = (
  services: DeclaredService[],
  states: [string, CheckState][] = [],
  containers = [containerOf("web")],
) => {
  const outcome = declare(inputOf(containers, { services, checks: new Map(states) }), rulesOf());
  const own = outcome.bindings.filter(({ container }) => container.includes("#"));
  return { ...outcome, own, names: own.map(({ name, rule }) => `${rule} ${name}`) };
};
/** What the checks at the site's two addresses say. */
const statesOf = (service: DeclaredService, ...states: (CheckState | undefined)[]) =>
  checksOfService(service, site).flatMap(({ key }, index): [string, CheckState][] => {
    const state = states[index];
    return state === undefined ? [] : [[key, state]];
  });
const both = ["label db.lab.berth.internal.", "host db.alpha.host.berth.internal."].toSorted();

test("a service without a check is declared as its file says, under its names and its host's", () => {
  const { own, names, checks } = namesOf([serviceOf({ tls: true, txt: ["a=b"], priority: 1, weight: 2 })]);
  expect(names.toSorted()).toEqual(both);
  expect(checks).toEqual([]);
  expect(own[0]).toMatchObject({
    ...{ protocol: "tcp", servicePort: 5432, port: 15432, fixed: true, addresses: ["10.0.0.5", "fd00::5"] },
    ...{
      container: "db.toml#1",
      instance: "db.toml#1",
      health: "none",
      tls: true,
      txt: ["a=b"],
      priority: 1,
      weight: 2,
    },
  });
});

test("one with a check is declared only while that says healthy", () => {
  const service = serviceOf({ check });
  const of = (state?: CheckState) => namesOf([service], statesOf(service, state, state));
  for (const state of [undefined, "starting", "unhealthy"] as const) {
    expect(of(state)).toMatchObject({ names: [], problems: [] });
    expect(of(state).notes).toEqual([
      expect.stringMatching(/db\.toml#1: its check has not found it healthy at 10\.0\.0\.5:15432, so/),
      expect.stringMatching(/db\.toml#1: its check has not found it healthy at \[fd00::5\]:15432, so/),
    ]);
  }
  const found = of("healthy");
  expect(found.names.toSorted()).toEqual(both);
  expect(found.own[0]).toMatchObject({ health: "healthy", addresses: ["10.0.0.5", "fd00::5"] });
});

test("it is checked where it is to be declared, and each address is declared by its own check", () => {
  const service = serviceOf({ check });
  const { own, checks, problems } = namesOf([service], statesOf(service, "unhealthy", "healthy"));
  expect(checks).toMatchObject([
    { ...check, container: "db.toml#1", address: "10.0.0.5", port: 15432 },
    { ...check, container: "db.toml#1", address: "fd00::5", port: 15432 },
  ]);
  expect(new Set(checks.map(({ key }) => key)).size).toBe(2);
  expect(own.map(({ addresses }) => addresses)).toEqual([["fd00::5"], ["fd00::5"]]);
  expect(problems).toEqual([]);
});

test("one that names its address is checked there alone, and nowhere when the host does not advertise it", () => {
  const at = (address: string) => namesOf([serviceOf({ check, addresses: [address as Address] })]);
  expect(at("fd00::5").checks.map(({ address }) => address)).toEqual(["fd00::5"]);
  expect(at("10.9.9.9").checks).toEqual([]);
});

test("a check stays the same when its entry moves in the file, and is another one when what it asks does", () => {
  const keys = (given: Partial<DeclaredService>) =>
    checksOfService(serviceOf({ check, ...given }), site).map(({ key }) => key);
  const before = keys({});
  expect(keys({ id: "db.toml#7", weight: 9, servicePort: 1 })).toEqual(before);
  const others: Partial<DeclaredService>[] = [
    { names: ["sql.lab.berth.internal." as Name] },
    { port: 15433 },
    { protocol: "udp" },
    { check: { ...check, httpPath: "/" } },
    { check: { ...check, intervalMs: 5_000 } },
    { addresses: ["10.0.0.9" as Address] },
  ];
  const elsewhere = { addresses: [...site.addresses, "10.0.0.9" as Address], local: false };
  const all = others.flatMap((given) =>
    checksOfService(serviceOf({ check, ...given }), elsewhere).map(({ key }) => key),
  );
  expect(all).toHaveLength(16);
  expect(new Set([...all, ...before]).size).toBe(18);
});

test("a container keeps the name below the host, which is nobody's problem", () => {
  const { names, problems } = namesOf([serviceOf()], [], [containerOf("db")]);
  expect(names).toEqual(["label db.lab.berth.internal."]);
  expect(problems).toEqual([]);
});

test("two services of one name are replicas; the first has the host's name", () => {
  const { own } = namesOf([serviceOf({ id: "db.toml#2", port: 2 }), serviceOf()]);
  expect(own.filter(({ rule }) => rule === "label")).toHaveLength(2);
  expect(own.filter(({ rule }) => rule === "host").map(({ instance }) => instance)).toEqual(["db.toml#1"]);
});

test("an address the host does not advertise is a problem, and the others stand", () => {
  const addresses = ["10.0.0.5", "10.9.9.9"] as Address[];
  const { own, problems } = namesOf([serviceOf({ addresses })]);
  expect(own[0]?.addresses).toEqual(["10.0.0.5"]);
  expect(problems).toEqual([
    {
      container: "db.toml#1",
      code: "not-advertised",
      message: expect.stringMatching(/10\.9\.9\.9 is none this host advertises.*--advertise/),
    },
  ]);
});
