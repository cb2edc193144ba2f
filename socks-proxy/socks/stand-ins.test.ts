import { expect, test } from "vitest";
import { addressOf } from "../../client/testing/doh-server.ts";
import { parseName } from "../../shared/name.ts";
import { createStandIns, meantDestination } from "./stand-ins.ts";

const web = parseName("web.berth.internal");

test("a name keeps its address, and the address says the name, after a restart too once it is asked for again", () => {
  const standIns = createStandIns();
  const address = standIns.addressFor(web);
  expect(standIns.addressFor(web)).toBe(address);
  expect(standIns.meaningOf(address)).toEqual({ kind: "name", name: web });
  const afterRestart = createStandIns();
  expect(afterRestart.meaningOf(address)).toEqual({ kind: "unknown" });
  expect(afterRestart.addressFor(web)).toBe(address);
});

test("no two names have one address, those whose hashes meet neither, and all are of 240.0.0.0/5", () => {
  const standIns = createStandIns();
  const names = [19_524, 58_440, 1, 2, 3].map((number) => parseName(`service${number}.berth.internal`));
  const addresses = names.map((name) => standIns.addressFor(name));
  const [first = "", second = ""] = addresses;
  // The first two have one hash, so the second gets the address after the first one's.
  expect(Number(second.split(".")[3])).toBe(Number(first.split(".")[3]) + 1);
  for (const [i, name] of names.entries()) {
    expect(addresses[i]).toMatch(/^24[0-7]\.\d+\.\d+\.\d+$/);
    expect(standIns.meaningOf(addresses[i] ?? expect.fail())).toEqual({ kind: "name", name });
  }
});

test("the names asked for longest ago are forgotten, and lead nowhere then", () => {
  const standIns = createStandIns(2);
  const [a, b, c] = ["a", "b", "c"].map((label) => parseName(`${label}.berth.internal`));
  const first = standIns.addressFor(a ?? expect.fail());
  const second = standIns.addressFor(b ?? expect.fail());
  standIns.addressFor(a ?? expect.fail());
  standIns.addressFor(c ?? expect.fail());
  expect(standIns.meaningOf(first)).toEqual({ kind: "name", name: a });
  expect(standIns.meaningOf(second)).toEqual({ kind: "unknown" });
});

test("a destination is what it stands for", () => {
  const standIns = createStandIns();
  const address = standIns.addressFor(web);
  expect(meantDestination({ kind: "address", address, port: 80 }, standIns)).toEqual({
    kind: "name",
    name: "web.berth.internal",
    port: 80,
  });
  for (const text of ["239.255.255.255", "248.0.0.1", "10.0.0.5", "::1"]) {
    const plain = { kind: "address", address: addressOf(text), port: 80 } as const;
    expect(meantDestination(plain, standIns)).toBe(plain);
  }
  const stale = { kind: "address", address: addressOf("240.0.0.0"), port: 80 } as const;
  expect(meantDestination(stale, standIns)).toMatchObject({ kind: "not-found" });
});
