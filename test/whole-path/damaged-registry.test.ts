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
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { resolverOptions } from "../../resolver/config.ts";
import { startResolver } from "../../resolver/node.ts";
import { readConfig } from "../../shared/config.ts";
import { describeFault } from "../../shared/errors.ts";
import { createLog } from "../../shared/log.ts";
import { runCommand } from "../testbed/process.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { askNode } from "./asked-names.ts";
import { berth } from "./parts.ts";
import { RegistryBed } from "./registry-bed.ts";
import { RegistryHost } from "./registry-host.ts";

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
