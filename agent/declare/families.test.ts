import { describe, expect, test } from "vitest";
import type { ContainerFacts } from "../engine/facts.ts";
import { containerOf, inputOf, rulesOf } from "../testing/builders.ts";
import { declare } from "./declare.ts";
import { namingFamilies, parseFamilies } from "./families.ts";
import { families } from "./input.ts";

describe("precedence", () => {
  const all: Pick<ContainerFacts, "labels" | "env"> = {
    labels: {
      "berth.name": "own",
      SERVICE_NAME: "registrator",
      "traefik.http.routers.a.rule": "Host(`traefik`)",
      "com.dnsdock.alias": "dnsdock",
    },
    env: { VIRTUAL_HOST: "nginx-proxy" },
  };
  const without = (...keys: string[]) => ({
    labels: Object.fromEntries(Object.entries(all.labels).filter(([key]) => !keys.includes(key))),
    env: keys.includes("VIRTUAL_HOST") ? {} : all.env,
  });
  const namesOf = (given: Partial<ContainerFacts>, chosen = "all"): string[] => {
    const { bindings } = declare(
      inputOf([containerOf("web", given)]),
      rulesOf({ families: parseFamilies(chosen) }),
    );
    return bindings
      .filter(({ rule }) => rule !== "host")
      .map(({ name, rule }) => `${rule} ${name.split(".")[0]}`);
  };
  const steps = [
    "berth.name",
    "SERVICE_NAME",
    "VIRTUAL_HOST",
    "traefik.http.routers.a.rule",
    "com.dnsdock.alias",
  ];
  const winners = [
    "label own",
    "label registrator",
    "label nginx-proxy",
    "label traefik",
    "label dnsdock",
    "container web",
  ];
  test.each(winners.map((winner, index) => ({ winner, gone: steps.slice(0, index) })))(
    "without $gone: $winner",
    ({ winner, gone }) => expect(namesOf(without(...gone))).toEqual([winner]),
  );

  test("a family that is off, or ignores the container, leaves the name to the next", () => {
    const foreign = without("berth.name");
    expect(namesOf(foreign, "traefik")).toEqual(["label traefik"]);
    expect(namesOf(foreign, "none")).toEqual(["container web"]);
    expect(namesOf({ ...foreign, labels: { ...foreign.labels, SERVICE_IGNORE: "false" } })).toEqual([
      "label nginx-proxy",
    ]);
  });
});

test("the table holds every family, in the documented order", () => {
  expect(namingFamilies.map(({ family }) => family)).toEqual([...families]);
});

test.each([
  ["all", [...families]],
  ["none", []],
  ["Traefik, registrator", ["registrator", "traefik"]],
])("--families %s", (text, expected) => expect([...parseFamilies(text)]).toEqual(expected));

test.each([
  [
    "consul",
    /"consul" is no family of labels; give some of registrator, nginx-proxy, traefik, dnsdock, or all, or none/,
  ],
  ["", /nothing is no family/],
  ["traefik,none", /"none" is no family/],
])("--families %j is refused", (text, message) => {
  expect(() => parseFamilies(text)).toThrow(
    expect.objectContaining({ code: "bad-config", message: expect.stringMatching(message) }),
  );
});
