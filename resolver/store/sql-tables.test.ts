import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Name } from "../../shared/name.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import { bootstrapAccess } from "../access.ts";
import type { Claim, HostRecord } from "../records.ts";
import type { Tables } from "../tables.ts";
import { packBindings, unpackBindings } from "./binding-text.ts";
import { below, binding, ip } from "./contract/builders.ts";
import { createMemoryTables } from "./memory-tables.ts";
import { migrate, registrySteps } from "./schema.ts";
import { createSqlTables } from "./sql-tables.ts";
import { openDatabase } from "./sqlite-database.ts";

function openTables(): Tables {
  const directory = makeTemporaryDir("berth-tables-");
  const { sql, handle } = openDatabase(join(directory.path, "registry.db"));
  onTestFinished(() => {
    handle.close();
    directory.remove();
  });
  migrate(sql, "the test's file", registrySteps, 0);
  // What a power cut would take is no matter here.
  sql.run("PRAGMA synchronous = OFF");
  return createSqlTables(sql);
}

function hostRecord(hostId: string, hostLabel: string): HostRecord {
  const { tokenId, owner, scope } = bootstrapAccess("agent");
  const said = { declaredLabel: hostLabel, hostLabel, addresses: [ip("10.0.0.5")], parts: [], bindings: 0 };
  const held = { epoch: 1, digest: "", lease: 15, grantsRevision: 0, local: false, problems: [] };
  return { hostId, ...said, ...held, tokenId, owner, scope };
}

const claimOf = (hostId: string, owner: string, fields: Partial<Claim> = {}): Claim => {
  return { hostId, name: below(owner) as Name, since: 1, bindings: [binding(owner)], ...fields };
};

/** mulberry32: the same sequence on every machine. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below) | 0;
  };
}

const owners = ["web", "a.shop", "b.shop", "x.b.shop", "shop-2", "web.nas.host", "s.hop"];
const hostIds = ["a", "b", "c"];

/** Everything a reader can learn, in an order that does not depend on the tables. */
function everythingIn(tables: Tables) {
  const sorted = <T>(items: Iterable<T>) =>
    [...items].map((item) => JSON.stringify(item, sortedKeys)).toSorted();
  const names = owners.map((owner) => below(owner) as Name);
  return {
    counters: tables.counters(),
    hosts: sorted(tables.hosts()),
    byLabel: ["nas", "pi", "rack"].map((label) => tables.hostOfLabel(label)?.hostId),
    byId: hostIds.map((hostId) => tables.host(hostId)?.hostLabel),
    claims: sorted(tables.claims()),
    ofHost: hostIds.map((hostId) => sorted(tables.claimsOfHost(hostId))),
    ofName: names.map((name) => sorted(tables.claimsOfName(name))),
    refusals: hostIds.map((hostId) => tables.refusalsOf(hostId)),
    below: ["", "shop", "b.shop", "hop", "nas.host", "host", "web"].map((owner) =>
      tables.hasNameBelow(below(owner)),
    ),
    holds: sorted(tables.holds()),
    held: names.map((name) => tables.hold(name)),
    ending: [0, 50, 100].map((now) => sorted(tables.holdsEndingBy(now))),
    nextEnd: tables.nextHoldEnd(),
    kept: ["t0", "t1"].map((tokenId) => tables.keptByToken(tokenId)),
  };
}

function sortedKeys(_: string, value: unknown): unknown {
  const isRecord = typeof value === "object" && value !== null && !Array.isArray(value);
  return isRecord ? Object.fromEntries(Object.entries(value).toSorted()) : value;
}

function changeAtRandom(pick: (below: number) => number): (tables: Tables) => void {
  const hostId = hostIds[pick(3)] ?? "a";
  const owner = owners[pick(owners.length)] ?? "web";
  const name = below(owner) as Name;
  const refusal = { name, code: "held", message: "it is held" } as const;
  const fields = { since: pick(9), bindings: [binding(owner, { port: 1 + pick(3), fixed: pick(2) === 0 })] };
  const claim = claimOf(hostId, owner, pick(3) === 0 ? { ...fields, refusal } : fields);
  const until = pick(100);
  const hold = { name, owner: "team", hostLabel: "nas", tokenId: `t${pick(2)}`, since: pick(9) };
  // A label of its own each: two hosts never have one.
  const label = { a: "nas", b: "pi", c: "rack" }[hostId] ?? "nas";
  const changes: ((tables: Tables) => void)[] = [
    (tables) => tables.putClaim(claim),
    (tables) => tables.putClaim(claim),
    (tables) => tables.deleteClaim(hostId, name),
    (tables) => tables.putHost(hostRecord(hostId, label)),
    (tables) => tables.deleteHost(hostId),
    (tables) => tables.putHold(hold),
    (tables) => tables.putHold({ ...hold, hostId, until }),
    (tables) => tables.deleteHold(name),
    (tables) => tables.setCounters({ revision: until, serial: until }),
  ];
  return changes[pick(changes.length)] ?? (() => {});
}

test("400 random changes, some of them rolled back, leave them equal to tables in memory", () => {
  const pick = seeded(3);
  const sql = openTables();
  const memory = createMemoryTables();
  for (let step = 0; step < 400; step++) {
    const change = changeAtRandom(pick);
    if (pick(4) === 0) {
      const failed = () =>
        sql.transaction(() => {
          change(sql);
          throw new Error("no room");
        });
      expect(failed).toThrow("no room");
    } else {
      for (const tables of [sql, memory]) tables.transaction(() => change(tables));
    }
    expect(everythingIn(sql), `step ${step}`).toEqual(everythingIn(memory));
  }
});

test.each([
  ["tables in SQL", openTables],
  ["tables in memory", createMemoryTables],
])("%s tell by whole labels whether a granted name lies below another", (_, open) => {
  const tables = open();
  for (const owner of ["hop", "hop2", "hop-2", "xhop"]) tables.putClaim(claimOf("a", owner));
  expect(tables.hasNameBelow(below("hop"))).toBe(false);
  const deep = claimOf("a", "x.s.hop");
  tables.putClaim(deep);
  expect(["hop", "s.hop", "x.s.hop"].map((owner) => tables.hasNameBelow(below(owner)))).toEqual([
    true,
    true,
    false,
  ]);
  tables.putClaim({ ...deep, refusal: { name: deep.name, code: "held", message: "it is held" } });
  expect(tables.hasNameBelow(below("hop"))).toBe(false);
});

test("a transaction inside another is undone with it, and can fail by itself", () => {
  const tables = openTables();
  const failing = (owner: string) => () => {
    tables.putClaim(claimOf("a", owner));
    throw new Error("no");
  };
  tables.transaction(() => {
    tables.putClaim(claimOf("a", "outer"));
    expect(() => tables.transaction(failing("inner"))).toThrow("no");
  });
  expect([...tables.claims()].map(({ name }) => name)).toEqual([below("outer")]);
  const both = () =>
    tables.transaction(() => {
      tables.transaction(() => tables.putClaim(claimOf("a", "kept")));
      failing("also")();
    });
  expect(both).toThrow("no");
  expect([...tables.claims()]).toHaveLength(1);
});

test("claims can be changed while all of them are read, page by page", () => {
  const tables = openTables();
  const count = 2500;
  tables.transaction(() => {
    for (let index = 0; index < count; index++)
      tables.putClaim(claimOf(hostIds[index % 3] ?? "a", `s${index}`));
  });
  const seen = new Set<string>();
  tables.transaction(() => {
    for (const claim of tables.claims()) {
      seen.add(claim.name);
      tables.deleteClaim(claim.hostId, claim.name);
    }
  });
  expect(seen.size).toBe(count);
  expect([...tables.claims()]).toEqual([]);
});

test("a binding comes back from its row with every field it has", () => {
  const tables = openTables();
  const bindings = [
    binding("web", {
      at: ["10.0.0.5", "2001:db8::5"],
      fixed: false,
      health: "starting",
      priority: 3,
      weight: 7,
    }),
    binding("web", { protocol: "udp", rule: "label", http: true, container: 'é " \\', instance: "x" }),
    binding("web", { http: false }),
    binding("web", { tls: true }),
    binding("web", { txt: ["b=2", "a=\u00e9\n"] }),
    binding("web", { http: true, tls: true, txt: ["a=b"] }),
    binding("web", { txt: [] }),
  ];
  tables.putClaim(claimOf("a", "web", { bindings }));
  expect(tables.claimsOfHost("a")[0]?.bindings).toEqual(bindings);
});

test("a row from before bindings could say tls and txt is read as it was written", () => {
  const start = '["compose","tcp",80,["10.0.0.5"],8080,1,"web","1","none",0,0';
  const [plain, chosen] = [binding("web"), binding("web", { http: false })];
  expect(unpackBindings(`[${start}],${start},false]]`, plain.name)).toEqual([plain, chosen]);
  // And one that says neither is still written so.
  expect(packBindings([plain, chosen])).toBe(`[${start}],${start},false]]`);
});
