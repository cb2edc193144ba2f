import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { lockStateDirectory } from "./agent-lock.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "berth-lock-"));
});
afterEach(() => rm(dir, { recursive: true }));

test("a second agent is refused with the mend, until the first has gone", async () => {
  const lock = await lockStateDirectory(dir);
  await expect(lockStateDirectory(dir)).rejects.toMatchObject({
    code: "agent-running",
    retryable: false,
    message: expect.stringMatching(new RegExp(`process ${process.pid},.*stop it first`)),
  });
  await lock.release();
  expect(await readdir(dir)).toEqual([]);
  await (await lockStateDirectory(dir)).release();
});

test("of many that start at once, exactly one gets it, also over a stale one", async () => {
  await writeFile(join(dir, "agent.pid"), `${process.pid} 1\n`);
  const starts = Array.from({ length: 12 }, () => lockStateDirectory(dir));
  const outcomes = await Promise.allSettled(starts);
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(await readdir(dir)).toEqual(["agent.pid"]);
});

test("another live process holds it", async () => {
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  try {
    const stat = await readFile(`/proc/${other.pid}/stat`, "utf8");
    const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    await writeFile(join(dir, "agent.pid"), `${other.pid} ${started}\n`);
    await expect(lockStateDirectory(dir)).rejects.toMatchObject({ code: "agent-running" });
  } finally {
    other.kill("SIGKILL");
    await once(other, "exit");
  }
  await (await lockStateDirectory(dir)).release();
});

test.each(["", "garbage", "999999999 5\n", `${process.pid} 1\n`])(
  "what a crash left behind is replaced: %j",
  async (text) => {
    await writeFile(join(dir, "agent.pid"), text);
    await (await lockStateDirectory(dir)).release();
  },
);

test("release leaves another's lock alone", async () => {
  const lock = await lockStateDirectory(dir);
  await writeFile(join(dir, "agent.pid"), "1 1\n");
  await lock.release();
  expect(await readdir(dir)).toEqual(["agent.pid"]);
});
