import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { parseName } from "../../shared/name.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import { standardSettings } from "../settings.ts";
import { modelRuns } from "../testing/model-runs.ts";
import {
  accepted,
  binding,
  counters,
  endpointsAt,
  existsAt,
  rdataAt,
  TestHost,
  zone,
} from "./contract/builders.ts";
import { describeModel } from "./contract/model.ts";
import { describeStore } from "./contract.ts";
import { openSqliteStore, type SqliteStore } from "./sqlite.ts";

const fixture = fileURLToPath(new URL("../../test/fixtures/registry-v1.db", import.meta.url));

function temporaryFile(): string {
  const directory = makeTemporaryDir("berth-sqlite-");
  onTestFinished(() => directory.remove());
  return join(directory.path, "registry.db");
}

/** One file and its clock; `open` is a start on it, after closing the one before. */
function makeFile(file = temporaryFile()) {
  let now = 1_800_000_000_000;
  let store: SqliteStore | undefined;
  const close = () => {
    store?.close();
    store = undefined;
  };
  const open = () => {
    close();
    store = openSqliteStore(file, standardSettings(zone), () => now);
    return store;
  };
  onTestFinished(close);
  const advance = async (ms: number) => {
    now += ms;
    store?.lapse();
  };
  return { file, open, close, advance };
}

/** What a person with the sqlite3 shell would do to a file no resolver has open. */
function inShell<T>(file: string, use: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(file);
  try {
    return use(database);
  } finally {
    database.close();
  }
}

function shell(file: string, statements: string): void {
  inShell(file, (database) => database.exec(statements));
}

function copyOfFixture(file: string): string {
  copyFileSync(fixture, file);
  return file;
}

function scribble(file: string): void {
  copyOfFixture(file);
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.fill(0x5a, 4096));
}

/** A registry of many pages, closed. */
function registryIn(file: string): string {
  const store = openSqliteStore(file, standardSettings(zone), () => 1_800_000_000_000);
  store.sql.run("CREATE TABLE ballast (text TEXT)");
  for (let row = 0; row < 20; row++) store.sql.run("INSERT INTO ballast VALUES (?)", "x".repeat(4000));
  store.close();
  return file;
}

/** In the middle of the ballast, which no start reads for its own sake. */
function spoilPage(file: string): void {
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.fill(0x5a, bytes.length - 3 * 4096, bytes.length - 2 * 4096));
}

const spared = { lateLapse: "the process stood still meanwhile, and nobody could renew with it" };

describeStore(
  "SQLite",
  async () => {
    const { open, advance } = makeFile();
    return { store: open(), advance, restart: async () => open() };
  },
  spared,
);

let lastFile: ReturnType<typeof makeFile> | undefined;

describeModel(
  "SQLite",
  async () => {
    // One open file at a time, however many histories there are.
    lastFile?.close();
    const one = makeFile();
    lastFile = one;
    return { store: one.open(), advance: one.advance, restart: async () => one.open() };
  },
  { ...modelRuns(8), spared },
);

describe("a start on a file", () => {
  test("gives every host one fresh lease, whatever time has passed", async () => {
    const { open, advance } = makeFile();
    const nas = new TestHost("a", "nas");
    await nas.push(open(), [binding("web")], { lease: 15 });
    await advance(14_000);
    const store = open();
    expect((await store.hosts()).hosts[0]?.leaseRemaining).toBe(15);
    await advance(14_500);
    expect(await existsAt(store, "web")).toBe(true);
    await advance(1000);
    expect(await existsAt(store, "web")).toBe(false);
  });

  test("that was away for a year serves what it held for one lease", async () => {
    const { open, close, advance } = makeFile();
    await new TestHost("a", "nas").push(open(), [binding("web")]);
    close();
    await advance(365 * 86_400_000);
    expect(await existsAt(open(), "web")).toBe(true);
    await advance(15_500);
    expect(await existsAt(open(), "web")).toBe(false);
  });

  test("takes a renewal of what it holds: no agent has to push again", async () => {
    const { open } = makeFile();
    const nas = new TestHost("a", "nas");
    await nas.push(open(), [binding("web")]);
    const store = open();
    const before = await counters(store);
    await accepted(nas.renew(store));
    expect(await counters(store)).toEqual(before);
  });
});

test("a start with another zone settles every name anew", async () => {
  const file = temporaryFile();
  const now = () => 1_800_000_000_000;
  const first = openSqliteStore(file, standardSettings(zone), now);
  // The holder has the higher host id, so that only its turn can speak for it.
  await new TestHost("b", "nas").push(first, [binding("web", { rule: "container" })]);
  await new TestHost("a", "pi", ["10.0.0.6"]).push(first, [
    binding("web", { rule: "container", at: ["10.0.0.6"] }),
  ]);
  first.close();
  const moved = openSqliteStore(file, standardSettings(parseName("example.net")), now);
  expect((await moved.services()).services).toEqual([]);
  expect((await moved.hosts()).hosts[0]?.refused).toMatchObject([
    { name: "web.berth.internal.", code: "out-of-zone" },
  ]);
  moved.close();
  const back = openSqliteStore(file, standardSettings(zone), now);
  onTestFinished(() => back.close());
  expect(await rdataAt(back, "web", "A"), "whose it was").toEqual(["10.0.0.5"]);
});

describe("the file", () => {
  test("is written ahead and synchronously, and stamped with the schema's version", () => {
    const { file, open, close } = makeFile();
    const prepare = vi.spyOn(DatabaseSync.prototype, "prepare");
    open();
    expect(prepare.mock.calls.flat()).toContain("PRAGMA synchronous = FULL");
    prepare.mockRestore();
    close();
    inShell(file, (database) => {
      expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
      expect(database.prepare("SELECT schema FROM registry").get()).toEqual({ schema: 2 });
    });
  });

  test("is not written for a renewal, nor for the same push again", async () => {
    const { file, open } = makeFile();
    const store = open();
    const nas = new TestHost("a", "nas");
    await nas.push(store, [binding("web")]);
    const written = () => [statSync(`${file}-wal`).size, statSync(`${file}-wal`).mtimeMs];
    const before = written();
    for (let turn = 0; turn < 10; turn++) await accepted(nas.renew(store));
    await accepted(nas.push(store, [binding("web")]));
    expect(written()).toEqual(before);
    await nas.push(store, [binding("web", { port: 9 })]);
    expect(written()[0]).toBeGreaterThan(before[0] ?? 0);
  });

  test("is not read through for its claims at a start under the same settings", async () => {
    const { open } = makeFile();
    await new TestHost("a", "nas").push(open(), [binding("web")]);
    open();
    const prepare = vi.spyOn(DatabaseSync.prototype, "prepare");
    onTestFinished(() => prepare.mockRestore());
    open();
    const reads = prepare.mock.calls.map(([query]) => query).filter((query) => /FROM claims/.test(query));
    expect(reads).toEqual(["SELECT 1 FROM claims LIMIT 1"]);
  });
});

describe("a file of schema 1, as released", () => {
  test("still opens and answers", async () => {
    const store = makeFile(copyOfFixture(temporaryFile())).open();
    expect(await endpointsAt(store, "_80._tcp.web.shop")).toEqual(["192.0.2.5:32768", "2001:db8::5:32768"]);
    expect(await rdataAt(store, "_5432._tcp.postgres", "SRV")).toEqual([`0 0 5432 v4.addr.nas.host.${zone}`]);
    expect(await rdataAt(store, "v4.addr.nas.host", "A")).toEqual(["192.0.2.5"]);
    expect(await existsAt(store, "shop")).toBe(true);
    expect(await existsAt(store, "ns")).toBe(false);
    const [host] = (await store.hosts()).hosts;
    expect(host).toMatchObject({ epoch: 3, lease: 60, leaseRemaining: 60, bindings: 3 });
    expect(host).toMatchObject({ owner: "operator", tokenId: "bootstrap-agent" });
    expect(host?.refused.map(({ name }) => name)).toEqual([`ns.${zone}`]);
  });

  test("has a hold for every name it granted, from the day of the upgrade", async () => {
    const { open, advance } = makeFile(copyOfFixture(temporaryFile()));
    const store = open();
    const held = { owner: "operator", hostLabel: "nas", since: 1_800_000_000_000, until: null, waiting: [] };
    expect((await store.names()).names).toEqual([
      { ...held, name: `postgres.${zone}`, exclusive: true },
      { ...held, name: `web.shop.${zone}`, exclusive: false },
    ]);
    const counted = await counters(store);
    await advance(60_500);
    expect((await store.names()).names).toEqual([]);
    expect((await counters(open())).revision).toBeGreaterThan(counted.revision);
  });

  test("takes the host's next push as one of its own", async () => {
    const store = makeFile(copyOfFixture(temporaryFile())).open();
    const nas = new TestHost("a", "nas", ["192.0.2.5", "2001:db8::5"]);
    const reply = await accepted(nas.push(store, [binding("web.shop", { at: ["192.0.2.5"] })], { epoch: 4 }));
    expect(reply.refused).toEqual([]);
    expect(await existsAt(store, "postgres")).toBe(false);
    expect(await endpointsAt(store, "_80._tcp.web.shop")).toEqual(["192.0.2.5:8080"]);
  });
});

describe("a file that cannot serve", () => {
  test("of a later schema is refused untouched, with what to do", () => {
    const { file, open, close } = makeFile();
    open();
    close();
    inShell(file, (database) => database.exec("UPDATE registry SET schema = 3"));
    expect(open).toThrow(
      expect.objectContaining({
        code: "newer-schema",
        who: file,
        message: expect.stringContaining("upgrade"),
      }),
    );
    // Nothing holds the file after the refusal.
    inShell(file, (database) => {
      expect(database.prepare("SELECT schema FROM registry").get()).toEqual({ schema: 3 });
      database.exec("UPDATE registry SET schema = 2");
    });
    open();
  });

  test.each([
    ["is no database", (file: string) => writeFileSync(file, "not a database ".repeat(100))],
    ["is a directory", (file: string) => mkdirSync(file)],
    ["is another program's", (file: string) => shell(file, "CREATE TABLE registry (id INTEGER)")],
    ["lost a table", (file: string) => shell(copyOfFixture(file), "DROP TABLE claims")],
    ["lost a table of schema 2", (file: string) => shell(registryIn(file), "DROP TABLE holds")],
    ["has a page that is not what it says", (file: string) => spoilPage(registryIn(file))],
    ["was overwritten in the middle", (file: string) => scribble(file)],
  ])("because it %s is named, with what to do", (_, spoil) => {
    const file = temporaryFile();
    spoil(file);
    expect(makeFile(file).open).toThrow(
      expect.objectContaining({ code: "bad-database", who: file, message: expect.stringContaining(file) }),
    );
  });

  test("is refused to a second resolver while the first is idle, and free when it closed", async () => {
    const { file, open, close } = makeFile();
    const store = open();
    await new TestHost("a", "nas").push(store, [binding("web")]);
    const second = makeFile(file);
    expect(second.open).toThrow(
      expect.objectContaining({ code: "bad-database", message: expect.stringContaining(file) }),
    );
    expect(await existsAt(store, "web")).toBe(true);
    close();
    expect(await existsAt(second.open(), "web")).toBe(true);
  });
});
