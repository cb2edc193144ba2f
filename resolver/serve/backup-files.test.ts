import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

import { BerthError } from "../../shared/errors.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import { until } from "../../test/testbed/wait.ts";
import { type CopyingStore, openBackupFiles } from "./backup-files.ts";

const report = { hosts: 1, bindings: 1, names: 1, tokens: 1 };

async function openFiles(changed: Partial<CopyingStore> = {}, remains: string[] = []) {
  const { path: directory, remove } = makeTemporaryDir("berth-backup-");
  onTestFinished(remove);
  for (const name of remains) mkdirSync(join(directory, name));
  const seen: { mode: number; parent: number; text: string }[] = [];
  const store: CopyingStore = {
    backup: (file) => writeFileSync(file, "the registry", { mode: 0o644 }),
    restore(file) {
      const parent = statSync(dirname(file)).mode & 0o777;
      seen.push({ mode: statSync(file).mode & 0o777, parent, text: readFileSync(file, "utf8") });
      return report;
    },
    ...changed,
  };
  return { directory, seen, files: await openBackupFiles(directory, store) };
}

function streamOf(text: string): ReadableStream<Uint8Array> {
  return new Blob([text]).stream();
}

/** Files below `directory` this process has open. */
function openBelow(directory: string): string[] {
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "";
    }
  });
  return targets.filter((target) => target.startsWith(directory));
}

test("a copy can be read to its end after its file is gone", async () => {
  const { directory, files } = await openFiles();
  const { octets, length } = await files.backup();
  expect(readdirSync(directory)).toEqual([]);
  expect(length).toBe(12);
  expect(await new Response(octets).text()).toBe("the registry");
  await until("the file to be closed", () => openBelow(directory).length === 0);
});

test("a copy that nobody reads on is closed", async () => {
  const { directory, files } = await openFiles({
    backup: (file) => writeFileSync(file, "x".repeat(1_000_000)),
  });
  const { octets } = await files.backup();
  expect(openBelow(directory)).toHaveLength(1);
  await octets.cancel();
  await until("the file to be closed", () => openBelow(directory).length === 0);
});

test("while it is made only its owner can get at it", async () => {
  const modes: number[] = [];
  const { files } = await openFiles({
    backup(file) {
      modes.push(statSync(dirname(file)).mode & 0o777);
      writeFileSync(file, "");
    },
  });
  await (await files.backup()).octets.cancel();
  expect(modes).toEqual([0o700]);
});

test("what comes in is a private file while the store reads it, and gone afterwards", async () => {
  const { directory, files, seen } = await openFiles();
  expect(await files.restore(streamOf("the registry"))).toEqual(report);
  expect(seen).toEqual([{ mode: 0o600, parent: 0o700, text: "the registry" }]);
  expect(readdirSync(directory)).toEqual([]);
});

test("whatever fails leaves no file, and lets the next one try", async () => {
  const fault = new BerthError("bad-backup", "it is damaged");
  const fail = () => Promise.reject(fault);
  const { directory, files } = await openFiles({ backup: fail, restore: fail });
  await expect(files.backup()).rejects.toBe(fault);
  await expect(files.restore(streamOf("x"))).rejects.toBe(fault);
  const broken = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(fault) });
  await expect(files.restore(broken)).rejects.toBe(fault);
  expect(readdirSync(directory)).toEqual([]);
});

test("a full disk is called one", async () => {
  const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  const { files } = await openFiles({ backup: () => Promise.reject(full) });
  await expect(files.backup()).rejects.toMatchObject({ code: "disk-full", retryable: true });
});

test("there is one at a time", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { files } = await openFiles({
    async backup(file) {
      writeFileSync(file, "");
      await promise;
    },
  });
  const first = files.backup();
  await expect(files.restore(streamOf("x"))).rejects.toMatchObject({ code: "store-unavailable" });
  resolve();
  await (await first).octets.cancel();
  await expect(files.restore(streamOf("x"))).resolves.toEqual(report);
});

test("what a killed process left is removed at the next start, and nothing else", async () => {
  const { directory } = await openFiles({}, ["backup-Ab12Cd", "tls"]);
  expect(readdirSync(directory)).toEqual(["tls"]);
});
