import { describe, expect, test } from "vitest";

import { type Name, parseName } from "../../shared/name.ts";
import { Allotment, restMs } from "./allotment.ts";

const size = 2 ** 22;
const now = 1_800_000_000_000;
const web = parseName("web.shop.berth.internal");

function names(count: number): Name[] {
  return Array.from({ length: count }, (_, i) => parseName(`n${i}.berth.internal`));
}

function hostIn(allotment: Allotment, name: Name, at = now): number {
  const allotted = allotment.allot(name, at);
  if (allotted === undefined) throw new Error("no place left");
  return allotted.host;
}

describe("an allotment", () => {
  test("gives a name the same address again, and says when it is new", () => {
    const allotment = new Allotment(size, [], [], now);
    const first = allotment.allot(web, now);
    expect(first?.isNew).toBe(true);
    expect(allotment.allot(web, now + 1)).toEqual({ host: first?.host, isNew: false });
    expect(allotment.nameAt(first?.host ?? 0)).toBe(web);
  });

  test("gives a name its address by the name alone: a lost file moves nobody", () => {
    expect(hostIn(new Allotment(size, [], [], now), web)).toBe(
      hostIn(new Allotment(size, [], [], 0), web, 0),
    );
    expect(hostIn(new Allotment(size, [], [], now), web)).toBe(4_010_817);
  });

  test("never gives two names one address, nor an end of a network, nor what is reserved", () => {
    const allotment = new Allotment(4096, [77], [], now);
    const hosts = names(3_000).map((name) => hostIn(allotment, name));
    expect(new Set(hosts).size).toBe(3_000);
    expect(hosts.filter((host) => host < 2 || host % 256 === 0 || host % 256 === 255 || host === 77)).toEqual(
      [],
    );
  });

  test("fills up to the last address, and then says so", () => {
    const allotment = new Allotment(256, [], [], now);
    const given = names(400).map((name) => allotment.allot(name, now));
    // 0, 1 and 255 are nobody's.
    expect(given.filter((allotted) => allotted !== undefined)).toHaveLength(253);
    expect(given.at(-1)).toBeUndefined();
  });

  test("keeps an address from others for a day after its last use, however full it is", () => {
    const allotment = new Allotment(256, [], [], now);
    for (const name of names(253)) allotment.allot(name, now);
    const day = 24 * 3_600_000;
    expect(allotment.allot(web, now + day)).toBeUndefined();
    allotment.touch(parseName("n7.berth.internal"), now + day);
    const host = hostIn(allotment, web, now + restMs);
    expect(allotment.nameAt(host)).toBe(web);
    expect(allotment.isHeld(parseName("n7.berth.internal"), now + restMs)).toBe(true);
    expect(allotment.isHeld(parseName("n8.berth.internal"), now + restMs)).toBe(false);
  });

  test("takes up what was kept, but nothing that cannot be right", () => {
    const allotment = new Allotment(
      4096,
      [],
      [
        { name: web, host: 300, usedAt: now + 10 * restMs },
        { name: parseName("twice.berth.internal"), host: 300, usedAt: now },
        { name: parseName("beyond.berth.internal"), host: 5_000, usedAt: now },
        { name: parseName("end.berth.internal"), host: 255, usedAt: now },
      ],
      now,
    );
    expect(allotment.entries()).toEqual([{ name: web, host: 300, usedAt: now }]);
  });
});
