import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";

import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import { standardHoldRules } from "../grants.ts";
import { standardSettings } from "../settings.ts";
import { auditEntry, refusedEntry } from "../testing/tokens.ts";
import {
  accepted,
  binding,
  counters,
  existsAt,
  heldAt,
  refusedIn,
  TestHost,
  tokenOf,
  zone,
} from "./contract/builders.ts";
import { openSqliteStore, type SqliteStore } from "./sqlite.ts";

const minute = 60_000;
const day = 24 * 60 * minute;
const fixture = fileURLToPath(new URL("../../test/fixtures/registry-v1.db", import.meta.url));

/** A folder with registries of one clock in it. */
function makePlace() {
  const directory = makeTemporaryDir("berth-backup-");
  const clock = { now: 1_800_000_000_000 };
  const stores: SqliteStore[] = [];
  onTestFinished(() => {
    for (const store of stores) store.close();
    directory.remove();
  });
  const pathOf = (name: string) => join(directory.path, name);
  const open = (name: string) => {
    const store = openSqliteStore(pathOf(name), standardSettings(zone), () => clock.now);
    stores.push(store);
    return store;
  };
  const advance = (ms: number) => {
    clock.now += ms;
    for (const store of stores) store.lapse();
  };
  return { open, pathOf, advance, clock, files: () => readdirSync(directory.path) };
}

const [teamA, teamB] = [tokenOf("team-a"), tokenOf("team-b")];
const hostOfA = () => new TestHost("a", "nas", ["10.0.0.5"], teamA);
const hostOfB = () => new TestHost("b", "pi", ["10.0.0.6"], teamB);
const web = binding("web.shop");
const webOfB = binding("web.shop", { at: ["10.0.0.6"] });

function addToken(store: SqliteStore, id: string, record = `{"id":"${id}"}`): void {
  store.sql.run("INSERT INTO tokens VALUES (?, ?)", id, record);
}

function addEntry(store: SqliteStore, text: string): void {
  store.audit.recordChange(auditEntry({ detail: text }));
}

/** Those the tests wrote, with their ids; pushes leave entries of their own. */
async function entriesOf(store: SqliteStore): Promise<string[]> {
  const all = await store.audit.list(100_000);
  return all.filter(({ action }) => action === "token-create").map(({ id, detail }) => `${id} ${detail}`);
}

describe("a backup", () => {
  test("is one whole file of its own, for its owner alone, that can be opened in a registry's place", async () => {
    const { open, pathOf, files } = makePlace();
    const store = open("registry.db");
    await hostOfA().push(store, [web]);
    await store.backup(pathOf("backup.db"));
    expect(files().filter((name) => name.startsWith("backup"))).toEqual(["backup.db"]);
    expect(statSync(pathOf("backup.db")).mode & 0o777).toBe(0o600);
    const withoutLog = [1, 1];
    expect([...readFileSync(pathOf("backup.db")).subarray(18, 20)], "SQLite's file format").toEqual(
      withoutLog,
    );
    expect(await existsAt(open("backup.db"), "web.shop")).toBe(true);
  });

  test("holds every push acknowledged before it, while others go on", async () => {
    const { open, pathOf } = makePlace();
    const store = open("registry.db");
    const nas = hostOfA();
    const set = Array.from({ length: 3000 }, (_, index) => binding(`s${index}`));
    await accepted(nas.push(store, set));
    let isDone = false;
    const written = store.backup(pathOf("backup.db")).then(() => {
      isDone = true;
    });
    let pushes = 0;
    while (!isDone) {
      await accepted(nas.push(store, [...set, binding("web", { port: 1 + (pushes++ % 9) })]));
      await new Promise((resume) => setImmediate(resume));
    }
    await written;
    expect(pushes, "pushed meanwhile").toBeGreaterThan(0);
    const copy = open("backup.db");
    expect(copy.sql.all("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
    expect(await existsAt(copy, "s2999")).toBe(true);
  });

  test("that cannot be written leaves the one before it, and nothing else", async () => {
    const { open, pathOf, files } = makePlace();
    const store = open("registry.db");
    await store.backup(pathOf("backup.db"));
    mkdirSync(pathOf("folder"));
    const before = { files: files(), bytes: readFileSync(pathOf("backup.db")) };
    await expect(store.backup(pathOf("folder"))).rejects.toMatchObject({ code: "backup-failed" });
    await expect(store.backup(pathOf("nowhere/backup.db"))).rejects.toMatchObject({ code: "backup-failed" });
    expect({ files: files(), bytes: readFileSync(pathOf("backup.db")) }).toEqual(before);
  });
});

describe("a restored backup", () => {
  /** A backup of a registry where team A served web.shop for an hour, and a registry that lost all that. */
  async function makeLoss() {
    const place = makePlace();
    const old = place.open("old.db");
    await hostOfA().push(old, [web, binding("postgres", { rule: "container" })], { lease: 3600 });
    addToken(old, "t1");
    addEntry(old, "made t1");
    place.advance(30 * minute);
    await old.backup(place.pathOf("backup.db"));
    return { ...place, store: place.open("registry.db"), backup: place.pathOf("backup.db") };
  }

  test("brings tokens, holds and the audit record, and no host", async () => {
    const { store, backup, clock } = await makeLoss();
    addEntry(store, "began empty");
    expect(store.restore(backup)).toEqual({ hosts: 0, bindings: 0, names: 1, tokens: 1 });
    expect(store.sql.all("SELECT id FROM tokens")).toEqual([{ id: "t1" }]);
    expect(await entriesOf(store)).toEqual(["1 began empty", "3 restored: made t1"]);
    expect((await store.hosts()).hosts).toEqual([]);
    expect(await existsAt(store, "web.shop")).toBe(false);
    const until = clock.now + standardHoldRules.keptMs;
    expect((await store.names()).names).toMatchObject([{ name: `web.shop.${zone}`, owner: "team-a", until }]);
  });

  test("keeps a name for whom it was: another owner waits, its own has it back", async () => {
    const { store, backup } = await makeLoss();
    store.restore(backup);
    expect(refusedIn(await accepted(hostOfB().push(store, [webOfB])))).toEqual(["web.shop held"]);
    expect(refusedIn(await accepted(hostOfA().push(store, [web])))).toEqual([]);
    expect(await heldAt(store, "web.shop")).toMatchObject({ owner: "team-a", until: null });
  });

  test("takes no name from who serves it now", async () => {
    const { store, backup } = await makeLoss();
    await hostOfB().push(store, [webOfB]);
    expect(store.restore(backup)).toEqual({ hosts: 1, bindings: 1, names: 1, tokens: 1 });
    expect(await heldAt(store, "web.shop")).toMatchObject({ owner: "team-b", until: null });
    expect(await existsAt(store, "web.shop")).toBe(true);
  });

  test("takes a name that is merely kept back to whom it was, who gets it at once", async () => {
    const { store, backup, advance } = await makeLoss();
    await hostOfB().push(store, [webOfB], { lease: 3600 });
    advance(20 * minute);
    await store.withdraw(hostOfB().hostId);
    const host = hostOfA();
    expect(refusedIn(await accepted(host.push(store, [web], { lease: 3600 })))).toEqual(["web.shop held"]);
    store.restore(backup);
    expect((await accepted(host.renew(store))).refused).toEqual([]);
    expect(await existsAt(store, "web.shop")).toBe(true);
  });

  test("frees what it kept when the time is up", async () => {
    const { store, backup, advance } = await makeLoss();
    store.restore(backup);
    advance(standardHoldRules.keptMs - minute);
    expect(await heldAt(store, "web.shop")).toBeDefined();
    advance(minute);
    expect(await heldAt(store, "web.shop")).toBeUndefined();
  });

  test("has nothing of holds whose time is up by now", async () => {
    const { open, pathOf, advance } = makePlace();
    const old = open("old.db");
    await hostOfA().push(old, [web], { lease: 3600 });
    advance(30 * minute);
    await old.withdraw(hostOfA().hostId);
    await old.backup(pathOf("backup.db"));
    advance(15 * day);
    const store = open("registry.db");
    expect(store.restore(pathOf("backup.db")).names).toBe(0);
  });

  test("takes nothing out of the audit record that is there, however much it brings", async () => {
    const { open, store, pathOf } = await makeLoss();
    addEntry(store, "precious");
    const forged = open("forged.db");
    const many = Array.from({ length: 10_300 }, (_, at) => auditEntry({ at }));
    await forged.audit.record(many);
    forged.sql.run("INSERT INTO audit (outcome, entry) VALUES ('operator', 'no entry')");
    await forged.backup(pathOf("forged-backup.db"));
    store.restore(pathOf("forged-backup.db"));
    await store.audit.record(Array.from({ length: 256 }, () => refusedEntry()));
    const kept = await entriesOf(store);
    expect(kept).toHaveLength(10_000);
    expect(kept.filter((line) => !line.includes("restored: "))).toEqual(["1 precious"]);
  });

  test("undoes no revocation, and repeats nothing that is there", async () => {
    const { store, backup } = await makeLoss();
    store.restore(backup);
    store.sql.run("UPDATE tokens SET record = 'revoked' WHERE id = 't1'");
    addEntry(store, "revoked t1");
    store.restore(backup);
    expect(store.sql.all("SELECT record FROM tokens")).toEqual([{ record: "revoked" }]);
    expect(await entriesOf(store)).toEqual(["2 restored: made t1", "3 revoked t1"]);
  });

  test("raises revision and serial past both", async () => {
    const { open, pathOf } = makePlace();
    const [old, store] = [open("old.db"), open("registry.db")];
    const nas = hostOfA();
    for (const port of [1, 2, 3, 4, 5]) await nas.push(old, [binding("web", { port })]);
    await old.backup(pathOf("backup.db"));
    store.restore(pathOf("backup.db"));
    const [before, after] = [await counters(old), await counters(store)];
    expect(after.revision).toBeGreaterThan(before.revision);
    expect(after.serial).toBeGreaterThan(before.serial);
  });

  test("may be of schema 1, and stays as it is", async () => {
    const { open, pathOf } = makePlace();
    copyFileSync(fixture, pathOf("v1.db"));
    const store = open("registry.db");
    expect(store.restore(pathOf("v1.db")).names).toBe(1);
    expect(await heldAt(store, "web.shop")).toMatchObject({ owner: "operator" });
    expect(readFileSync(pathOf("v1.db")).equals(readFileSync(fixture))).toBe(true);
  });

  test.each([
    ["is not there", "bad-backup", () => {}],
    ["is no database", "bad-backup", (file: string) => writeFileSync(file, "not a database ".repeat(100))],
    ["is empty", "bad-backup", (file: string) => writeFileSync(file, "")],
    [
      "is another program's",
      "bad-backup",
      (file: string) => shell(file, "CREATE TABLE registry (id INTEGER)"),
    ],
    [
      "lost its end",
      "bad-backup",
      (file: string) => writeFileSync(file, readFileSync(fixture).subarray(0, 9000)),
    ],
    [
      "is of a later schema",
      "newer-schema",
      (file: string) => shell(copy(file), "UPDATE registry SET schema = 3"),
    ],
  ])("that %s is refused as a whole", async (_, code, spoil) => {
    const { open, pathOf, files } = makePlace();
    const store = open("registry.db");
    await hostOfA().push(store, [web]);
    addToken(store, "t1");
    spoil(pathOf("backup.db"));
    const before = { files: files(), counters: await counters(store), names: await store.names() };
    expect(() => store.restore(pathOf("backup.db"))).toThrow(expect.objectContaining({ code }));
    expect({ files: files(), counters: await counters(store), names: await store.names() }).toEqual(before);
    expect(existsSync(pathOf("backup.db"))).toBe(before.files.includes("backup.db"));
  });
});

function copy(file: string): string {
  copyFileSync(fixture, file);
  return file;
}

function shell(file: string, statements: string): void {
  const database = new DatabaseSync(file);
  database.exec(statements);
  database.close();
}
