import { expect, test } from "vitest";

import { parseName } from "../shared/name.ts";
import { nameInZone, nameLines } from "./names.ts";

const zone = parseName("berth.internal");
const since = Date.UTC(2026, 0, 2, 3, 4);

test.each([
  ["web.shop", "web.shop.berth.internal."],
  ["web.shop.berth.internal", "web.shop.berth.internal."],
  ["Web.Shop.Berth.Internal.", "web.shop.berth.internal."],
  ["berth.internal.old", "berth.internal.old.berth.internal."],
])("%s is a name with the zone or without", (text, name) => {
  expect(nameInZone(text, zone)).toBe(name);
});

test.each([
  ["web.example.", /not below berth\.internal/],
  ["", /not a domain name/],
  ["web..shop", /empty label/],
])('"%s" is refused', (text, why) => {
  expect(() => nameInZone(text, zone)).toThrow(why);
});

test("each name has a line with its holder, its state, and who waits", () => {
  const held = { owner: "team-a", hostLabel: "nas", exclusive: false, since, until: null, waiting: [] };
  const waiting = [
    { hostLabel: "pi", owner: "team-b" },
    { hostLabel: "pi-2", owner: "team-c" },
  ];
  const names = [
    { ...held, name: parseName("web.shop.berth.internal") },
    { ...held, name: parseName("db.berth.internal"), exclusive: true, until: since + 60_000, waiting },
  ];
  expect(nameLines(names)).toEqual([
    "NAME                     OWNER   HOST      SINCE              STATE                         WAITING",
    "web.shop.berth.internal  team-a  nas       2026-01-02 03:04Z  served",
    "db.berth.internal        team-a  nas only  2026-01-02 03:04Z  kept until 2026-01-02 03:05Z  pi (team-b), pi-2 (team-c)",
  ]);
  expect(nameLines([])).toEqual(["no such names"]);
});
