import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { unpackBindings } from "../../resolver/store/binding-text.ts";
import { binding } from "../../resolver/store/contract/builders.ts";
import type { AuditList } from "../../shared/audit.ts";
import type { Declared } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import { parseName } from "../../shared/name.ts";
import type { NameList, ServiceList } from "../../shared/registry-views.ts";
import { type CreatedToken, type TokenList, tokenKinds } from "../../shared/tokens.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { askNode } from "./asked-names.ts";
import { runBerth } from "./parts.ts";
import { RegistryBed } from "./registry-bed.ts";
import { faultIn, pushReplyIn, RegistryHost } from "./registry-host.ts";
import { feedOf, linkOf } from "./registry-streams.ts";

let bed: RegistryBed;
let directory: TemporaryDir;
let teamA: CreatedToken;
let teamB: CreatedToken;
let gone: CreatedToken;
let nas: RegistryHost;

const heldName = "web.shop";
/** All bindings of one set have its number as their port, so that a mixture of two would show. */
const setOf = (number: number): Declared =>
  nas.declare([heldName, "b", `c${number % 3}`].map((name) => binding(name, { port: number })));

beforeAll(async () => {
  directory = makeTemporaryDir("berth-restore-");
  bed = await RegistryBed.start();
  [teamA, teamB, gone] = [
    await createToken("team-a"),
    await createToken("team-b"),
    await createToken("gone"),
  ];
  nas = await RegistryHost.make(bed, "nas");
  nas.token = teamA.token;
});
afterAll(async () => {
  await bed?.close();
  directory?.remove();
});

describe("berth backup and berth restore, while pushes go on", () => {
  const file = () => join(directory.path, "backup.db");

  it("write one state of the registry, and a restore of it keeps what lives", async () => {
    const pushing = pushTwentyASecond();
    await until("some pushes", () => pushing.count() > 5);
    expect(await berth("backup", file())).toMatchObject({ code: 0 });
    expect(await berth("backup", file()), "never over another").toMatchObject({ code: 2 });
    await expectOneState(file());

    expect((await askAdmin("DELETE", `/v1/tokens/${gone.id}`)).status).toBe(204);
    const held = await pushing.stop();
    const link = await linkOf(nas, held);
    const feed = await feedOf(bed, bed.token("reader"));
    onTestFinished(feed.close);
    await until("the feed's first event", () => feed.events.length === 1);

    const on = pushTwentyASecond(held);
    expect(await berth("restore", file(), "--yes")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("3 tokens"),
    });
    const last = await on.stop();
    await expectServed(last);
    await link.ping();
    await until("the feed to go on", () => feed.events.at(-1)?.includes(`"port":${portOf(last)}`));
    expect(feed.events.filter((event) => event.startsWith("snapshot"))).toHaveLength(1);
    const refused = await bed.ask({ path: "/v1/hosts", token: gone.token });
    expect(faultIn(refused).code, "what was revoked since stays revoked").toBe("token-revoked");
    link.socket.terminate();
  });

  it.each<[string, (copy: string) => void]>([
    ["cut short", (copy) => truncateSync(copy, 20_000)],
    ["with a page overwritten", (copy) => overwritePage(copy)],
    ["of another program", (copy) => makeForeign(copy)],
    ["that is a text", (copy) => writeFileSync(copy, "SQLite format 3\0 or so it says\n".repeat(100))],
  ])("a copy %s is refused, and changes nothing", async (what, spoil) => {
    const copy = join(directory.path, `${what.replaceAll(" ", "-")}.db`);
    writeFileSync(copy, readFileSync(file()));
    spoil(copy);
    const before = await everything();
    const body = readFileSync(copy);
    const headers = { "content-type": "application/vnd.sqlite3" };
    const reply = await bed.ask({
      method: "PUT",
      path: "/v1/backup",
      token: bed.token("admin"),
      headers,
      body,
    });
    expect({ status: reply.status, code: faultIn(reply).code }).toEqual({ status: 422, code: "bad-backup" });
    expect(await everything()).toEqual(before);
    expect(
      readdirSync(bed.stateDir).filter((name) => /backup|restore/.test(name)),
      "no remains",
    ).toEqual([]);
  });

  it("say which file is no backup, before anything is sent", async () => {
    const text = join(directory.path, "text.db");
    writeFileSync(text, "no database");
    const { code, stderr } = await berth("restore", text, "--yes");
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^berth: .*text\.db is not a backup/),
    });
  });

  it("bring tokens and holds back to a registry that was lost; the bootstrap tokens never went", async () => {
    const tokens = tokenKinds.map((kind) => bed.token(kind));
    await bed.restart(() => forgetDatabase());
    expect(tokenKinds.map((kind) => bed.token(kind))).toEqual(tokens);
    expect(faultIn(await nas.push(setOf(1))).code, "a created token is gone").toBe("unknown-token");
    expect(faultIn(await nas.push(setOf(1))).message).toMatch(/did not give out that token/);

    expect(await berth("restore", file(), "--yes")).toMatchObject({ code: 0 });
    const { names } = await bed.json<NameList>("/v1/names");
    expect(names.find(({ name }) => name.startsWith(`${heldName}.`))).toMatchObject({
      owner: "team-a",
      until: expect.any(Number),
    });
    const other = await RegistryHost.make(bed, "other");
    other.token = teamB.token;
    const reply = pushReplyIn(await other.pushNames([heldName, "own"]));
    expect(reply.refused).toMatchObject([{ code: "held", holder: { owner: "team-a" } }]);
    expect(await askNode(bed, "own")).toBe("NOERROR");
    expect(await askNode(bed, heldName)).toBe("NXDOMAIN");

    expect(pushReplyIn(await nas.push(setOf(4711))).refused).toEqual([]);
    await expectServed(setOf(4711));
    const { entries } = await bed.json<AuditList>("/v1/audit?limit=1000");
    const actions = entries.map(({ action }) => action);
    expect(actions.filter((action) => action === "token-create")).toHaveLength(3);
    expect(actions.indexOf("restore")).toBeGreaterThan(actions.indexOf("token-create"));
    await other.send("DELETE", other.path);
  });
});

describe("a deleted database heals", () => {
  it("with the bootstrap tokens: hosts push whole and are answered for again", async () => {
    const host = await RegistryHost.make(bed, "healing");
    const declared = host.declare([binding("healed")]);
    expect(await host.push(declared)).toMatchObject({ status: 200 });
    await bed.restart(() => forgetDatabase());
    expect(await askNode(bed, "healed")).toBe("NXDOMAIN");
    expect(faultIn(await host.renew(declared)).code, "a renewal is told to push").toBe("unknown-digest");
    expect(await host.push(declared)).toMatchObject({ status: 200 });
    expect(await askNode(bed, "healed")).toBe("NOERROR");
    expect(await bed.ask({ path: "/v1/hosts", token: teamA.token })).toMatchObject({ status: 401 });
    expect(await bed.json<TokenList>("/v1/tokens")).toEqual({ tokens: [] });
  });

  it("also when its write-ahead log was left behind by a crash", async () => {
    const host = await RegistryHost.make(bed, "left");
    expect(await host.pushNames(["left"])).toMatchObject({ status: 200 });
    await bed.part.kill9();
    expect(statSync(join(bed.stateDir, "registry.db-wal")).size).toBeGreaterThan(0);
    await bed.restart(() => rmSync(join(bed.stateDir, "registry.db")));
    expect(await host.pushNames(["left"])).toMatchObject({ status: 200 });
    await bed.restart();
    expect(await askNode(bed, "left")).toBe("NOERROR");
  });
});

function forgetDatabase(): void {
  const files = readdirSync(bed.stateDir).filter((name) => name.startsWith("registry.db"));
  expect(files).not.toEqual([]);
  for (const name of files) rmSync(join(bed.stateDir, name));
}

function pushTwentyASecond(from: Declared = setOf(1)) {
  let isOver = false;
  let last = from;
  let count = 0;
  async function push(): Promise<void> {
    while (!isOver) {
      const next = setOf(portOf(last) + 1);
      pushReplyIn(await nas.push(next));
      last = next;
      count++;
      await sleep(50);
    }
  }
  const pushing = push();
  return {
    count: () => count,
    async stop(): Promise<Declared> {
      isOver = true;
      await pushing;
      return last;
    },
  };
}

function portOf({ bindings }: Declared): number {
  return bindings[0]?.port ?? 0;
}

async function expectServed(declared: Declared): Promise<void> {
  const { services } = await bed.json<ServiceList>("/v1/services");
  const places = services.flatMap(({ name, ports }) =>
    ports.flatMap(({ endpoints }) => endpoints.map(({ hostLabel, port }) => `${hostLabel} ${name} ${port}`)),
  );
  const wanted = declared.bindings.map(({ name, port }) => `nas ${name} ${port}`);
  expect(places.filter((place) => place.startsWith("nas ")).toSorted()).toEqual(wanted.toSorted());
  expect(await askNode(bed, heldName)).toBe("NOERROR");
}

/** By SQLite itself, with no log of any kind beside it. */
async function expectOneState(file: string): Promise<void> {
  const copy = new DatabaseSync(file, { readOnly: true });
  onTestFinished(() => copy.close());
  expect(copy.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  const claims = copy.prepare("SELECT bindings FROM claims").all();
  const bindings = claims.flatMap((row) => unpackBindings(String(row.bindings), parseName(heldName)));
  const ports = new Set(bindings.map(({ port }) => port));
  expect(ports.size, "of one push").toBe(1);
  const record: unknown = JSON.parse(String(copy.prepare("SELECT record FROM hosts").get()?.record));
  expect(record).toMatchObject({ digest: await digestOf(setOf([...ports][0] ?? 0)) });
}

function overwritePage(file: string): void {
  const octets = readFileSync(file);
  octets.fill(0x5a, 8192, 12_288);
  writeFileSync(file, octets);
}

function makeForeign(file: string): void {
  rmSync(file);
  const database = new DatabaseSync(file);
  database.exec("CREATE TABLE registry (schema TEXT); CREATE TABLE tokens (id TEXT)");
  database.close();
}

async function everything() {
  const views = ["/v1/hosts", "/v1/names", "/v1/tokens", "/v1/services"];
  const { entries } = await bed.json<AuditList>("/v1/audit?limit=1000");
  // What was refused is written down a moment later.
  const done = entries.filter(({ outcome }) => outcome === "done").map(({ id }) => id);
  const said = [...(await Promise.all(views.map((path) => bed.json<object>(path)))), done];
  // Leases run on meanwhile.
  return JSON.stringify(said).replace(/"leaseRemaining":[\d.]+/g, "");
}

async function createToken(owner: string): Promise<CreatedToken> {
  const reply = await askAdmin("POST", "/v1/tokens", JSON.stringify({ kind: "agent", owner }));
  expect(reply.status).toBe(201);
  return JSON.parse(reply.body.toString()) as CreatedToken;
}

function askAdmin(method: string, path: string, body?: string) {
  const headers = { "content-type": "application/json" };
  return bed.ask({
    method,
    path,
    token: bed.token("admin"),
    headers,
    ...(body === undefined ? {} : { body }),
  });
}

async function berth(command: string, ...args: string[]) {
  const access = ["--resolver", bed.url, "--ca", join(bed.stateDir, "tls", "ca.pem")];
  return runBerth([command, ...args, ...access, "--token-file", bed.tokenFile("admin")]);
}
