import { describe, expect, test } from "vitest";

import { declaredSchema, type Problem } from "../../shared/binding.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { problemOf } from "../problem.ts";
import { containerOf, inputOf, portOf, rulesOf, siteOf } from "../testing/builders.ts";
import { declare } from "./declare.ts";
import { problemsWithinLimits } from "./limits.ts";

function declaredOf(containers: ContainerFacts[]) {
  const { bindings, problems: all } = declare(inputOf(containers), rulesOf());
  const problems = problemsWithinLimits(all);
  const { hostLabel, addresses, local } = siteOf();
  // Past a limit the resolver would refuse the whole set.
  declaredSchema.parse({ hostLabel, addresses, local, bindings, problems });
  return { containers: new Set(bindings.map(({ container }) => container)), bindings, problems };
}

function portsOf(count: number) {
  return Array.from({ length: count }, (_, index) => portOf(1000 + index));
}

function tooMany(container: string, message: RegExp) {
  return { container, code: "too-many", message: expect.stringMatching(message) };
}

/** With its own name and its name below the host: two bindings for each port. */
const sized = (name: string, bindings: number) => containerOf(name, { ports: portsOf(bindings / 2) });

describe("bindings", () => {
  test("one container's label of 21,000 names takes no name from the others", () => {
    const names = Array.from({ length: 21_000 }, (_, index) => `a${index}`).join();
    const { containers, bindings, problems } = declaredOf([
      containerOf("greedy", { labels: { "berth.name": names } }),
      containerOf("zoo"),
    ]);
    expect(containers).toEqual(new Set(["greedy", "zoo"]));
    expect(bindings.filter(({ rule }) => rule === "label")).toHaveLength(64);
    expect(problems).toEqual([tooMany("greedy", /lists 21000 names.*may have 64/)]);
  });

  test("a container over 2,000 is not declared, told why, and takes no name from another", () => {
    const { containers, problems } = declaredOf([sized("a-1", 2_002), sized("a.1", 2_000)]);
    expect(containers).toEqual(new Set(["a.1"]));
    expect(problems).toEqual([
      tooMany("a-1", /2 names at 1001 .* 2002 bindings.*may have 2000; publish fewer/),
    ]);
  });

  test("names for single ports count for these alone: SERVICE_NAME at 60 ports is 3 for each", () => {
    const { bindings } = declaredOf([
      containerOf("wide", { labels: { SERVICE_NAME: "x" }, ports: portsOf(60) }),
    ]);
    expect(bindings).toHaveLength(180);
  });

  test("more than 64 ports have no registrator names of their own", () => {
    const { bindings } = declaredOf([
      containerOf("wide", { labels: { SERVICE_NAME: "x" }, ports: portsOf(65) }),
    ]);
    expect(bindings).toHaveLength(130);
  });

  test("a container with every port there is has none, soon, whatever names them", () => {
    const exposed = Array.from({ length: 65_535 }, (_, index) => {
      return { protocol: "udp" as const, containerPort: index + 1 };
    });
    const tls = exposed.map(({ containerPort }) => containerPort).join();
    const labels = { SERVICE_NAME: "pbx", "berth.tls": tls };
    const all = containerOf("pbx", { networkMode: "host", ports: [], exposed, labels });
    const begun = performance.now();
    const { bindings, problems } = declaredOf([all, containerOf("web")]);
    // It took 45 s, for which the agent renewed no lease.
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(problems).toContainEqual(tooMany("pbx", /65535 ports.*may have 2000.*berth\.port/));
    expect(new Set(bindings.map(({ container }) => container))).toEqual(new Set(["web"]));
  });

  test("few bindings can be large: what a push may not hold is left out, and the others stay", () => {
    const names = Array.from({ length: 64 }, (_, index) => `n${index}.${"x".repeat(60)}`).join();
    const txt = Object.fromEntries(
      Array.from({ length: 32 }, (_, index) => [`berth.txt.k${index}`, "\u0001".repeat(250)]),
    );
    const labels = { "berth.name": names, ...txt };
    const evil = Array.from({ length: 30 }, (_, index) =>
      containerOf(`evil${index}`, { labels, ports: portsOf(29) }),
    );
    const { bindings, problems } = declaredOf([...evil, containerOf("web")]);
    const octets = new TextEncoder().encode(JSON.stringify({ bindings, problems })).length;
    expect(octets).toBeLessThan(15 << 20);
    expect(bindings.some(({ container }) => container === "web")).toBe(true);
    expect(problems).toContainEqual(tooMany("evil0", /take [\d.]+ MB, and a container's may take 1\.0/));
  });

  test("a host over 20,000 leaves out the largest, one by one, whatever their names", () => {
    const large = Array.from({ length: 12 }, (_, index) => sized(`a${index + 10}`, 2_000 - 2 * index));
    const small = Array.from({ length: 50 }, (_, index) => sized(`z${index + 10}`, 2));
    const { containers, bindings, problems } = declaredOf([...large, ...small]);
    expect(bindings).toHaveLength(23_868 + 100 - 2_000 - 1_998);
    expect(problems).toEqual(
      ["a10", "a11"].map((name) => tooMany(name, /more than 20000.*largest.*publish fewer/)),
    );
    expect(containers.size).toBe(60);
  });

  test("of equal ones the later is left out; a full host is not over its limit", () => {
    const full = Array.from({ length: 10 }, (_, index) => sized(`a${index}`, 2_000));
    expect(declaredOf(full)).toMatchObject({ bindings: { length: 20_000 }, problems: [] });
    expect(declaredOf([...full, sized("b", 2_000)].toReversed()).problems).toEqual([tooMany("b", /20000/)]);
  });
});

describe("problems", () => {
  test("labels that are too long to be read are one problem of their container, which stays", () => {
    const unread = "label berth.name is not read: it is too long";
    const { containers, problems } = declaredOf([containerOf("web", { unread })]);
    expect(containers).toEqual(new Set(["web"]));
    expect(problems).toEqual([{ container: "web", code: "too-long", message: unread }]);
  });

  const problemsOf = (container: string, count: number): Problem[] =>
    Array.from({ length: count }, (_, index) => problemOf(container, "bad-label", `fault ${index + 1000}`));

  test("twenty of one container are all shown", () => {
    const problems = problemsOf("a", 20);
    expect(problemsWithinLimits(problems.toReversed())).toEqual(problems);
  });

  test("the others of one container are counted, and do not hide that it is left out", () => {
    const left = problemOf("a", "too-many", "it is not declared");
    const shown = problemsWithinLimits([...problemsOf("a", 1_500), ...problemsOf("b", 1), left]);
    expect(shown.filter(({ container }) => container === "b")).toHaveLength(1);
    expect(shown).toContainEqual(left);
    expect(shown).toContainEqual(tooMany("a", /^1481 more problems/));
    expect(shown).toHaveLength(20 + 1 + 1);
  });

  test("over the host's limit, every container's first stays, and the rest is counted", () => {
    const many = Array.from({ length: 60 }, (_, index) => problemsOf(`a${index + 10}`, 30));
    const few = Array.from({ length: 400 }, (_, index) => problemsOf(`z${index + 100}`, 1));
    const shown = problemsWithinLimits([...many, ...few].flat());
    expect(shown).toHaveLength(1_000);
    expect(new Set(shown.map(({ container }) => container)).size).toBe(60 + 400 + 1);
    expect(shown[0]).toEqual(tooMany("", /has 2200 problems, and 999 are shown/));
  });
});
