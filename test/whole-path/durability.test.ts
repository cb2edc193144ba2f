import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { resolverOptions } from "../../resolver/config.ts";
import { startResolver } from "../../resolver/node.ts";
import { binding } from "../../resolver/store/contract/builders.ts";
import type { AuditList } from "../../shared/audit.ts";
import type { Declared } from "../../shared/binding.ts";
import { readConfig } from "../../shared/config.ts";
import { digestOf } from "../../shared/digest.ts";
import { describeFault } from "../../shared/errors.ts";
import { createLog } from "../../shared/log.ts";
import type { HostList, ServiceList } from "../../shared/registry-views.ts";
import { runCommand } from "../testbed/process.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { askNode } from "./asked-names.ts";
import { berth } from "./parts.ts";
import { RegistryBed } from "./registry-bed.ts";
import { faultIn, RegistryHost } from "./registry-host.ts";
import { makeSmallDisk, type SmallDisk } from "./small-disk.ts";

const pushes = 10_000;
const kills = 3;
const hostCount = 8;
const seed = Number(process.env.BERTH_TEST_SEED ?? Date.now() % 1_000_000);

/** mulberry32: the same sequence for the same seed. */
function seeded(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A host that pushes one set after the other; all bindings of one have its number as their port, so that a mixture would show. */
class Pusher {
  readonly host: RegistryHost;
  acknowledged = 0;
  sent = 0;
  acknowledgements = 0;

  constructor(host: RegistryHost) {
    this.host = host;
  }

  /** Some names come and go from set to set. */
  setOf(number: number): Declared {
    const names = ["a", "b", `c${number % 3}`, ...(number % 2 === 0 ? ["d", "e"] : [])];
    return this.host.declare(names.map((name) => binding(`${name}.${this.host.label}`, { port: number })));
  }

  async pushNext(): Promise<void> {
    this.sent++;
    const reply = await this.host.push(this.setOf(this.sent));
    if (reply.status !== 200) throw new Error(`push ${this.sent} of ${this.host.label}: ${reply.body}`);
    this.acknowledged = this.sent;
    this.acknowledgements++;
  }
}

describe(`a resolver killed in the middle of ${pushes} pushes (BERTH_TEST_SEED=${seed})`, () => {
  let bed: RegistryBed;
  let pushers: Pusher[];

  beforeAll(async () => {
    bed = await RegistryBed.start();
    const labels = Array.from({ length: hostCount }, (_, index) => `h${index}`);
    pushers = await Promise.all(labels.map(async (label) => new Pusher(await RegistryHost.make(bed, label))));
  });
  afterAll(() => bed?.close());

  it(`has every acknowledged one whole after each of ${kills} kills, and in its audit record`, async () => {
    const random = seeded(seed);
    const part = pushes / (kills + 1);
    for (let kill = 0; kill < kills; kill++) {
      await pushUntilKilled(Math.floor(part * (kill + 0.3 + 0.6 * random())), random() * 3);
      await bed.restart();
      await expectWhole();
    }
    await pushUntil(pushes);
    await expectWhole();
    await expectAudited();
  });

  const acknowledgedInAll = () => pushers.reduce((sum, { acknowledgements }) => sum + acknowledgements, 0);

  async function pushUntil(total: number): Promise<void> {
    await Promise.all(
      pushers.map(async (pusher) => {
        while (acknowledgedInAll() < total) await pusher.pushNext();
      }),
    );
  }

  /** All hosts push on until the end of the process breaks off what is under way. */
  async function pushUntilKilled(total: number, delayMs: number): Promise<void> {
    const work = pushers.map(async (pusher) => {
      while (bed.part.isRunning) await pusher.pushNext();
    });
    const broken = Promise.allSettled(work);
    while (acknowledgedInAll() < total) await sleep(1);
    await sleep(delayMs);
    await bed.part.kill9();
    for (const outcome of await broken) {
      if (outcome.status === "rejected")
        expect(String(outcome.reason)).toMatch(/ECONNRE|socket hang up|EPIPE|aborted/);
    }
  }

  async function expectWhole(): Promise<void> {
    const { hosts } = await bed.json<HostList>("/v1/hosts");
    const { services } = await bed.json<ServiceList>("/v1/services");
    const digests = new Map(hosts.map(({ hostLabel, digest }) => [hostLabel, digest]));
    for (const pusher of pushers) {
      const { label } = pusher.host;
      const ports = new Map(
        services
          .flatMap(({ name, ports }) =>
            ports.flatMap(({ endpoints }) =>
              endpoints.map(({ hostLabel, port }) => [name, hostLabel, port] as const),
            ),
          )
          .filter(([, hostLabel]) => hostLabel === label)
          .map(([name, , port]) => [name as string, port]),
      );
      const number = [...ports.values()][0] ?? 0;
      expect(
        [pusher.acknowledged, pusher.sent],
        `${label}: the last set acknowledged, or the one under way`,
      ).toContain(number);
      const set = pusher.setOf(number);
      expect(Object.fromEntries(ports), `${label}: set ${number} and no other`).toEqual(
        Object.fromEntries(set.bindings.map(({ name }) => [name, number])),
      );
      expect(digests.get(label)).toBe(await digestOf(set));
    }
  }

  async function expectAudited(): Promise<void> {
    const rows = new Map<string, number>();
    for (let before: number | undefined; before !== 0; ) {
      const page = before === undefined ? "" : `&before=${before}`;
      const { entries } = await bed.json<AuditList>(`/v1/audit?limit=1000${page}`);
      for (const { target } of entries.filter(({ action }) => action === "push"))
        rows.set(target, (rows.get(target) ?? 0) + 1);
      before = entries[0]?.id === 1 ? 0 : (entries[0]?.id ?? 0);
    }
    for (const { host, acknowledgements } of pushers) {
      const written = rows.get(host.hostId) ?? 0;
      expect(written, `${host.label}: a row for every acknowledged push`).toBeGreaterThanOrEqual(
        acknowledgements,
      );
      expect(written, `${host.label}: and for none that never was`).toBeLessThanOrEqual(
        acknowledgements + kills,
      );
    }
  }
});

describe("a full disk", () => {
  let disk: SmallDisk;
  let bed: RegistryBed;
  let host: RegistryHost;
  const options = () => ({
    wrapper: disk.wrapper,
    stateDir: join(disk.path, "state"),
    seenAt: join(disk.seenAt, "state"),
  });
  const manyNames = (number: number) => Array.from({ length: 300 }, (_, index) => `n${index}.m${number}`);

  beforeAll(async () => {
    disk = await makeSmallDisk(6);
    bed = await RegistryBed.start(options());
    host = await RegistryHost.make(bed, "nas");
  });
  afterAll(async () => {
    await bed?.close();
    await disk?.close();
  });

  it("is told to who pushes and to the log, answers and renewals go on, and pushes work again when there is room", async () => {
    expect(await host.pushNames(["kept"])).toMatchObject({ status: 200 });
    disk.fill();
    const held = await pushUntilRefused();
    const log = bed.log.filter((line) => line.startsWith("error"));
    expect(log).toEqual([
      expect.stringMatching(/a push was refused: there is no room left for .*registry\.db; free some/),
    ]);

    expect(await host.renew(held)).toMatchObject({ status: 200 });
    expect(await askNode(bed, "kept")).toBe("NOERROR");
    const { hosts } = await bed.json<HostList>("/v1/hosts");
    expect(hosts).toMatchObject([{ digest: await digestOf(held) }]);
    // Refusals cannot be written down either, which must not matter to anybody.
    expect(await bed.ask({ path: "/v1/hosts", token: "nobody-gave-this-one-out" })).toMatchObject({
      status: 401,
    });
    const backup = await bed.ask({ path: "/v1/backup", token: bed.token("admin") });
    expect(backup).toMatchObject({ status: 503, headers: { "retry-after": "5" } });
    expect(faultIn(backup).code).toBe("disk-full");

    disk.free();
    const more = host.declare(["kept", ...manyNames(99)].map((name) => binding(name)));
    expect(await host.push(more)).toMatchObject({ status: 200 });
    await bed.part.kill9();
    await bed.restart();
    expect((await bed.json<HostList>("/v1/hosts")).hosts).toMatchObject([{ digest: await digestOf(more) }]);
  });

  it("is no hindrance to a start on what is there", async () => {
    await bed.part.stop();
    disk.fill();
    await bed.restart();
    expect(await askNode(bed, "kept")).toBe("NOERROR");
    disk.free();
    expect(await host.pushNames(["kept", "new"])).toMatchObject({ status: 200 });
  });

  it("keeps a new resolver from starting, with a line that says so", async () => {
    disk.fill();
    onTestFinished(() => disk.free());
    const argv = berth("resolver", "--listen", "127.0.0.1:0", "--state-dir", join(disk.path, "other"));
    const { code, stderr } = await runCommand([...disk.wrapper, ...argv]);
    expect(code).not.toBe(0);
    expect(stderr.trim().split("\n")).toEqual([expect.stringMatching(/^berth: .*other.*(room|ENOSPC)/)]);
    expect(
      readdirSync(join(disk.seenAt, "other"), { recursive: true, encoding: "utf8" }).filter((name) =>
        /\.[0-9a-f]{12}$/.test(name),
      ),
      "no drafts",
    ).toEqual([]);
  });

  /** The last set that was taken. What SQLite's log has room for already is still taken on a full disk. */
  async function pushUntilRefused(): Promise<Declared> {
    let held = host.declare([binding("kept")]);
    for (let number = 0; number < 50; number++) {
      const next = host.declare(["kept", ...manyNames(number)].map((name) => binding(name)));
      const reply = await host.push(next);
      if (reply.status !== 200) {
        expect(reply).toMatchObject({ status: 503, headers: { "retry-after": "5" } });
        expect(faultIn(reply).code).toBe("disk-full");
        return held;
      }
      held = next;
    }
    throw new Error("the disk never was full");
  }
});

describe("a registry file that was damaged", () => {
  let original: string;
  let bed: RegistryBed;
  let directory: ReturnType<typeof makeTemporaryDir>;

  beforeAll(async () => {
    directory = makeTemporaryDir("berth-damage-");
    original = join(directory.path, "original");
    bed = await RegistryBed.start({ stateDir: original });
    const host = await RegistryHost.make(bed, "nas");
    expect(await host.pushNames(Array.from({ length: 400 }, (_, index) => `s${index}`))).toMatchObject({
      status: 200,
    });
    await bed.part.stop();
  });
  afterAll(async () => {
    await bed?.close();
    directory?.remove();
  });

  /** A copy of a good state directory, and its registry file. */
  function copyOfState(): { stateDir: string; file: string } {
    const stateDir = join(directory.path, `copy-${readdirSync(directory.path).length}`);
    cpSync(original, stateDir, { recursive: true });
    return { stateDir, file: join(stateDir, "registry.db") };
  }

  function overwrite(file: string, from: number, to: number): void {
    const descriptor = openSync(file, "r+");
    writeSync(descriptor, Buffer.alloc(to - from, 0x5a), 0, to - from, from);
    closeSync(descriptor);
  }

  const cases: Record<string, [(file: string) => void, RegExp]> = {
    "overwritten in the middle": [
      (file) => overwrite(file, 8192, 20_480),
      /is damaged \(stop .*move the file away.*berth restore\)/,
    ],
    "with its head overwritten": [
      (file) => overwrite(file, 0, 100),
      /is damaged \(stop .*move the file away.*berth restore\)/,
    ],
    "cut short": [
      (file) => truncateSync(file, 16_384),
      /is damaged \(stop .*move the file away.*berth restore\)/,
    ],
    "replaced by a text": [
      (file) => writeFileSync(file, "no database\n".repeat(50)),
      /is damaged .*not a database/,
    ],
    "replaced by somebody else's database": [otherDatabase, /cannot use the registry file .*move it away/],
    "that lost a table": [
      (file) => alter(file, "DROP TABLE holds"),
      /cannot use the registry file .*no such table: holds/,
    ],
    "of a later berth": [
      (file) => alter(file, "UPDATE registry SET schema = 99"),
      /written by a later berth .*upgrade berth/,
    ],
    "replaced by a directory": [
      replaceByDirectory,
      /cannot use the registry file .*it is a directory; move it away/,
    ],
  };
  it.each(Object.entries(cases))(
    "%s keeps the resolver from starting, with the mend",
    async (_, [spoil, why]) => {
      const { stateDir, file } = copyOfState();
      spoil(file);
      await expectNoStart(stateDir, file, why);
    },
  );

  it("that others own is told with its mend, and so is such a state directory", async () => {
    const { stateDir, file } = copyOfState();
    const owned = ["", ...readdirSync(stateDir, { recursive: true }).map(String)];
    chmodSync(directory.path, 0o755);
    const whyDirectory = /state directory .*writable for the user.*owner and mode/;
    expect(await startAsNobody(stateDir)).toEqual([expect.stringMatching(whyDirectory)]);
    for (const name of owned) chownSync(join(stateDir, name), 65_534, 65_534);
    chownSync(file, 0, 0);
    const whyFile = /cannot use the registry file .*registry\.db .*check its owner and mode/;
    expect(await startAsNobody(stateDir)).toEqual([expect.stringMatching(whyFile)]);
  });

  it("or deleted is said to be new: it never passes for the old one", async () => {
    const { stateDir, file } = copyOfState();
    truncateSync(file, 0);
    const other = await RegistryBed.start({ stateDir });
    onTestFinished(() => other.close());
    expect(other.log).toContainEqual(expect.stringContaining(`${file} is new: it has no created tokens`));
  });

  it("keeps its one resolver from a second one on it", async () => {
    const { stateDir, file } = copyOfState();
    const first = await RegistryBed.start({ stateDir });
    onTestFinished(() => first.close());
    await expectNoStart(
      stateDir,
      file,
      /another resolver has it open; a state directory is for one: stop the other/,
    );
    expect(await askNode(first, "s7")).toBe("NOERROR");
  });

  it("while it is in use makes no name absent, and is told at the next start", async () => {
    const { stateDir, file } = copyOfState();
    const running = await RegistryBed.start({ stateDir });
    onTestFinished(() => running.close());
    overwrite(file, 4096, statSync(file).size);
    for (let index = 0; index < 400; index += 13) {
      expect(["NOERROR", "SERVFAIL"]).toContain(await askNode(running, `s${index}`));
    }
    await running.part.stop();
    await expectNoStart(stateDir, file, /is damaged/);
  });
});

async function startAsNobody(stateDir: string): Promise<string[]> {
  const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const argv = berth("resolver", "--listen", "127.0.0.1:0", "--state-dir", stateDir);
  const { code, stderr } = await runCommand([...asNobody, ...argv], { timeoutMs: 20_000 });
  expect(code, stderr).toBe(2);
  return stderr.trim().split("\n");
}

/** In this process: a process of its own costs a second, and says no more. */
async function expectNoStart(stateDir: string, who: string, why: RegExp): Promise<void> {
  const config = readConfig(resolverOptions, { stateDir, listen: "127.0.0.1:0" }, {});
  const lines: string[] = [];
  const log = createLog("resolver", "debug", (line) => lines.push(line));
  const started = startResolver(config, log);
  started.then(({ close }) => close()).catch(() => undefined);
  const fault: unknown = await started.then(
    () => expect.fail("it started"),
    (reason: unknown) => reason,
  );
  expect(fault).toMatchObject({ name: "BerthError", who });
  expect(describeFault(fault)).toMatch(why);
  expect(lines).toEqual([]);
}

function alter(file: string, statement: string): void {
  const database = new DatabaseSync(file);
  database.exec(statement);
  database.close();
}

function otherDatabase(file: string): void {
  rmSync(file);
  alter(file, "CREATE TABLE registry (something TEXT)");
}

function replaceByDirectory(file: string): void {
  rmSync(file);
  mkdirSync(file);
}
