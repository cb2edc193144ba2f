import { beforeEach, describe, expect, test } from "vitest";

import type { NamePorts } from "../../client/stub-resolver.ts";
import type { Address } from "../../shared/address.ts";
import { type Name, parseName } from "../../shared/name.ts";
import type { PortAt } from "./open-ports.ts";
import { keepPortsTrue } from "./refresh.ts";
import { quietMs, recentMs, ServedNames, type ServedNamesOptions } from "./served-names.ts";
import { FakeStub } from "./testing/fake-stub.ts";
import { HandClock } from "./testing/hand-clock.ts";

const web = parseName("web.berth.internal");
const db = parseName("db.berth.internal");
const patienceMs = 10_000;

let clock: HandClock;
/** What listens, as "address protocol/port". */
let open: Set<string>;
let opened: string[];
let published: Map<Name, NamePorts>;
let asked: number;
/** Ports that cannot be opened. */
let taken: Set<number>;
let hosts: Map<Name, Address>;

beforeEach(() => {
  clock = new HandClock();
  open = new Set();
  opened = [];
  published = new Map();
  asked = 0;
  taken = new Set();
  hosts = new Map([
    [web, "127.64.0.2" as Address],
    [db, "127.64.0.3" as Address],
  ]);
});

function served(given: Partial<ServedNamesOptions> = {}): ServedNames {
  return new ServedNames({
    async portsOf(name) {
      asked++;
      return published.get(name) ?? { kind: "none", answer: undefined };
    },
    addresses: {
      async allot(name) {
        const ipv4 = hosts.get(name);
        return ipv4 === undefined ? undefined : { ipv4, ipv6: undefined };
      },
      touch: () => {},
      isHeld: (name) => hosts.has(name),
    },
    async open(_name, at) {
      opened.push(textOf(at));
      if (taken.has(at.port)) return { problem: { what: textOf(at), fault: "taken", mend: "end it" } };
      open.add(textOf(at));
      return { listener: { close: () => void open.delete(textOf(at)) } };
    },
    clock,
    resolveMs: 5_000,
    patienceMs,
    mostPorts: 100,
    onFault(fault) {
      throw fault;
    },
    ...given,
  });
}

function publish(name: Name, ...ports: number[]): void {
  published.set(name, { kind: "ports", ports: ports.map((port) => ({ protocol: "tcp", port })) });
}

function textOf({ address, protocol, port }: PortAt): string {
  return `${address} ${protocol}/${port}`;
}

describe("a served name", () => {
  test("has its ports open when it is found, and asks once however many look at once", async () => {
    publish(web, 80, 443);
    const names = served();
    const found = await Promise.all(Array.from({ length: 100 }, () => names.find(web)));
    expect(new Set(found.map((one) => JSON.stringify(one))).size).toBe(1);
    expect([...open].sort()).toEqual(["127.64.0.2 tcp/443", "127.64.0.2 tcp/80"]);
    expect([asked, opened.length]).toEqual([1, 2]);
  });

  test("keeps the ports that stay when others come and go", async () => {
    publish(web, 80, 443);
    const names = served();
    await names.find(web);
    publish(web, 443, 8080);
    await names.refresh(web);
    expect([...open].sort()).toEqual(["127.64.0.2 tcp/443", "127.64.0.2 tcp/8080"]);
    expect(opened).toHaveLength(3);
  });

  test("tries a port that cannot be opened again, but not with every question; the others stand", async () => {
    publish(web, 80, 443);
    taken.add(80);
    const names = served();
    await names.find(web);
    await names.find(web);
    expect(opened).toHaveLength(2);
    expect(names.status()).toMatchObject({ names: 1, listeners: 1, problems: [{ fault: "taken" }] });
    taken.clear();
    clock.advance(2_000);
    await names.find(web);
    expect(names.status()).toMatchObject({ listeners: 2, problems: [] });
  });

  test("that loses all its ports is still served for the patience, then no more", async () => {
    publish(web, 80);
    const names = served();
    await names.find(web);
    published.delete(web);
    expect((await names.find(web)).kind).toBe("served");
    clock.advance(patienceMs - 1);
    expect((await names.find(web)).kind).toBe("served");
    clock.advance(1);
    expect([open.size, (await names.find(web)).kind]).toEqual([0, "none"]);
  });

  test("that was last seen with ports long ago is gone at once", async () => {
    publish(web, 80);
    const names = served();
    await names.find(web);
    clock.advance(recentMs + 1);
    published.delete(web);
    expect([(await names.find(web)).kind, open.size]).toEqual(["none", 0]);
  });

  test("keeps its ports while the resolver cannot be reached", async () => {
    publish(web, 80);
    const names = served();
    await names.find(web);
    published.set(web, { kind: "failed", failure: { kind: "no-answer", reason: "nobody" } });
    expect([(await names.find(web)).kind, open.size]).toEqual(["failed", 1]);
  });

  test("gives way to another one that has its address now, and closes when its address may be given away", async () => {
    publish(web, 80);
    publish(db, 5432);
    const names = served();
    await names.find(web);
    hosts.set(db, "127.64.0.2" as Address);
    await names.find(db);
    expect([...open]).toEqual(["127.64.0.2 tcp/5432"]);
    hosts.delete(db);
    names.sweep();
    expect(open.size).toBe(0);
  });

  test("makes room for others only when nobody has asked for it in a while", async () => {
    publish(web, 80);
    publish(db, 5432);
    const names = served({ mostPorts: 1 });
    await names.find(web);
    await names.find(db);
    expect([...open]).toEqual(["127.64.0.2 tcp/80"]);
    expect(names.status().problems).toMatchObject([{ what: "db.berth.internal tcp/5432" }]);
    clock.advance(quietMs);
    await names.find(db);
    expect([...open]).toEqual(["127.64.0.3 tcp/5432"]);
  });

  test("takes no more than its share, however many ports it has", async () => {
    publish(web, ...Array.from({ length: 50 }, (_, i) => 1000 + i));
    publish(db, 5432);
    const names = served({ mostPorts: 8 });
    await names.find(web);
    await names.find(db);
    expect([...open].sort()).toEqual(["127.64.0.2 tcp/1000", "127.64.0.2 tcp/1001", "127.64.0.3 tcp/5432"]);
  });

  test("with more ports than anybody reads about has its first 100 problems listed, and the others counted", async () => {
    publish(web, ...Array.from({ length: 150 }, (_, i) => 1000 + i));
    const names = served({ mostPorts: 4 });
    await names.find(web);
    const { problems, moreProblems } = names.status();
    expect([problems.length, moreProblems]).toEqual([100, 49]);
  });

  test("survives a fault of this program's own, which is said", async () => {
    publish(web, 80);
    const faults: unknown[] = [];
    const fault = new Error("unforeseen");
    const open = () => Promise.reject(fault);
    const names = served({ open, onFault: (one) => faults.push(one) });
    expect((await names.find(web)).kind).toBe("failed");
    expect(faults).toEqual([fault]);
  });

  test("closes everything at the end", async () => {
    publish(web, 80);
    const names = served();
    const found = names.find(web);
    await names.close();
    await found;
    expect(open.size).toBe(0);
  });
});

describe("the ports of names in use", () => {
  test("are asked for again every 5 s without the change feed, once a minute with it, for 5 minutes", async () => {
    publish(web, 80);
    const [names, stub] = [served(), new FakeStub()];
    stub.feed = "off";
    const end = keepPortsTrue(stub, names, clock);
    await names.find(web);
    await passes(5_000);
    expect(asked).toBe(2);
    stub.feed = "following";
    await passes(55_000);
    expect(asked).toBe(2);
    await passes(5_000);
    expect(asked).toBe(3);
    await passes(300_000);
    const before = asked;
    await passes(120_000);
    expect(asked).toBe(before);
    end();
  });

  test("are looked at as soon as the feed says so, those of other names are not", async () => {
    publish(web, 80);
    const [names, stub] = [served(), new FakeStub()];
    const end = keepPortsTrue(stub, names, clock);
    await names.find(web);
    publish(web, 81);
    stub.tell("db.berth.internal");
    stub.tell("web.berth.internal");
    await passes(0);
    expect([[...open], asked]).toEqual([["127.64.0.2 tcp/81"], 2]);
    end();
  });

  test("stay open when a restart is noticed just before they would have been looked at", async () => {
    publish(web, 80);
    const [names, stub] = [served(), new FakeStub()];
    await names.find(web);
    clock.advance(4_900);
    const end = keepPortsTrue(stub, names, clock);
    await passes(59_000);
    published.delete(web);
    // As when a connection has failed, which may be known before the feed says anything.
    expect([(await names.refresh(web)).kind, open.size, asked]).toEqual(["served", 1, 2]);
    end();
  });

  test("stay open through a restart that the feed tells of, though nobody has used the name for an hour", async () => {
    publish(web, 80);
    const [names, stub] = [served(), new FakeStub()];
    const end = keepPortsTrue(stub, names, clock);
    await names.find(web);
    await passes(3_600_000);
    published.delete(web);
    stub.tell("web.berth.internal");
    await passes(0);
    expect(open.size).toBe(1);
    await passes(patienceMs);
    expect(open.size).toBe(0);
    end();
  });

  test("are looked at again when the feed says so while they are being looked at, for that may be the state before", async () => {
    publish(web, 80);
    const [names, stub] = [served(), new FakeStub()];
    const end = keepPortsTrue(stub, names, clock);
    await names.find(web);
    // What it is told was asked before the change.
    const looking = names.find(web);
    publish(web, 81);
    stub.tell("web.berth.internal");
    await looking;
    await passes(0);
    expect([...open]).toEqual(["127.64.0.2 tcp/81"]);
    end();
  });
});

/** Turns the clock in steps, letting what it starts run. */
async function passes(ms: number): Promise<void> {
  for (let passed = 0; passed <= ms; passed += 5_000) {
    clock.advance(Math.min(5_000, ms - passed));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
