import { expect, test } from "vitest";
import type { Address } from "../../shared/address.ts";
import type { Name } from "../../shared/name.ts";
import { containerOf, inputOf, rulesOf } from "../testing/builders.ts";
import { declare } from "./declare.ts";
import type { CheckState, DeclaredService, WantedCheck } from "./input.ts";

const check: WantedCheck = {
  ...{
    key: "db.toml#1",
    container: "db.toml#1",
    httpPath: undefined,
    address: "127.0.0.1" as Address,
    port: 5432,
  },
  ...{ intervalMs: 10_000, timeoutMs: 3_000 },
};
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
  const of = (states: [string, CheckState][]) => namesOf([serviceOf({ check })], states);
  for (const states of [[], [["db.toml#1", "starting"]], [["db.toml#1", "unhealthy"]]] as [
    string,
    CheckState,
  ][][]) {
    expect(of(states)).toMatchObject({ names: [], checks: [check], problems: [] });
    expect(of(states).notes).toEqual([
      expect.stringMatching(/db\.toml#1: its check has not found it healthy/),
    ]);
  }
  const found = of([["db.toml#1", "healthy"]]);
  expect(found.names.toSorted()).toEqual(both);
  expect(found.own[0]?.health).toBe("healthy");
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
