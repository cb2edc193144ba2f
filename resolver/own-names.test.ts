import { expect, test } from "vitest";

import { asDeclared, asGranted } from "./own-names.ts";
import { below, binding, zone } from "./store/contract/builders.ts";

const labels = { declaredLabel: "nas", hostLabel: "nas-abc" };

test.each([
  ["a host's own name moves to its granted label", "web.nas.host", "host", "web.nas-abc.host"],
  ["a name below another label stays", "web.pi.host", "host", "web.pi.host"],
  ["a name two labels down stays", "a.web.nas.host", "host", "a.web.nas.host"],
  ["the host itself stays", "nas.host", "host", "nas.host"],
  ["a name by another rule stays as it was declared", "web.nas.host", "label", "web.nas.host"],
  ["any other name stays", "web", "compose", "web"],
] as const)("%s, and back again", (_, owner, rule, granted) => {
  const declared = binding(owner, { rule });
  const placed = asGranted(declared, labels, zone);
  expect(placed).toEqual({ ...declared, name: below(granted) });
  expect(asDeclared(placed, labels, zone)).toEqual(declared);
});

test("under its own label nothing moves, and nothing is copied", () => {
  const one = binding("web.nas.host", { rule: "host" });
  const own = { declaredLabel: "nas", hostLabel: "nas" };
  expect(asGranted(one, own, zone)).toBe(one);
  expect(asDeclared(one, own, zone)).toBe(one);
});
