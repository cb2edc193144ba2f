import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";

import { lockStateDirectory } from "./agent-lock.ts";

let dir: string;
const children: ChildProcessWithoutNullStreams[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "berth-lock-"));
});
afterEach(async () => {
  await Promise.all(children.splice(0).map(kill));
  await rm(dir, { recursive: true });
});

const refused = expect.objectContaining({
  code: "agent-running",
  retryable: false,
  message: expect.stringMatching(/agent\.lock\); stop it first/),
});

test("a second agent is refused with the mend, until the first has gone", async () => {
  const lock = lockStateDirectory(dir);
  // Twice: closing the refused one's database must not free the first one's lock.
  expect(() => lockStateDirectory(dir)).toThrow(refused);
  expect(() => lockStateDirectory(dir)).toThrow(refused);
  expect(await outcomeIn(startChild("report(attempt(dir))"))).toBe("agent-running");
  lock.release();
  lock.release();
  const next = lockStateDirectory(dir);
  expect(() => lockStateDirectory(dir)).toThrow(refused);
  next.release();
});

test("kill -9 of the holder frees it, and leaves nothing but the file", async () => {
  const holder = startChild("report(attempt(dir)); setInterval(() => {}, 1000);");
  expect(await outcomeIn(holder)).toBe("held");
  expect(() => lockStateDirectory(dir)).toThrow(refused);
  await kill(holder);
  expect(await readdir(dir)).toEqual(["agent.lock"]);
  lockStateDirectory(dir).release();
});

test("the holder keeps it when nothing refers to the lock any more", async () => {
  const holder = startChild(
    "const got = attempt(dir); gc(); gc(); report(got); setInterval(() => {}, 1000);",
  );
  expect(await outcomeIn(holder)).toBe("held");
  expect(() => lockStateDirectory(dir)).toThrow(refused);
});

test("of many that start at once exactly one gets it, each time", async () => {
  const rounds = 80;
  for (let round = 0; round < rounds; round++) await mkdir(join(dir, `${round}`));
  // Each process waits for each round's moment awake, so that they meet within microseconds.
  const program = `
    report("ready");
    process.stdin.once("data", (start) => {
      const won = [];
      for (let round = 0; round < ${rounds}; round++) {
        while (Date.now() < Number(start) + round * 15);
        if (attempt(dir + "/" + round) === "held") won.push(round);
      }
      report(won.join());
      setInterval(() => {}, 1000);
    });`;
  const racers = Array.from({ length: 6 }, () => startChild(program));
  await Promise.all(racers.map(outcomeIn));
  for (const racer of racers) racer.stdin.write(`${Date.now() + 100}\n`);
  const won = (await Promise.all(racers.map(outcomeIn))).flatMap((text) => text.split(",").filter(Boolean));
  expect(won.map(Number).toSorted((left, right) => left - right)).toEqual([...Array(rounds).keys()]);
}, 30_000);

test("the file is its owner's alone: who can read it can lock it", async () => {
  lockStateDirectory(dir).release();
  expect((await stat(join(dir, "agent.lock"))).mode & 0o777).toBe(0o600);
});

test("a directory that is not there, or a file that is something else, is a fault that names it", async () => {
  const fault = expect.objectContaining({
    code: "bad-state-dir",
    who: expect.stringMatching(/agent\.lock$/),
  });
  expect(() => lockStateDirectory(join(dir, "absent"))).toThrow(fault);
  await writeFile(join(dir, "agent.lock"), "x".repeat(4096));
  expect(() => lockStateDirectory(dir)).toThrow(fault);
});

/** A process of its own; the program's words are `attempt(dir)`, which keeps no reference to the lock, `report(text)` and `dir`. */
function startChild(program: string): ChildProcessWithoutNullStreams {
  const prelude = `
    import { lockStateDirectory } from ${JSON.stringify(new URL("./agent-lock.ts", import.meta.url).href)};
    const dir = ${JSON.stringify(dir)};
    const report = (text) => console.log(text);
    const attempt = (path) => {
      try {
        lockStateDirectory(path);
        return "held";
      } catch (fault) {
        return fault.code ?? String(fault);
      }
    };`;
  const args = ["--expose-gc", "--input-type=module", "--eval", `${prelude}\n${program}`];
  const child = spawn(process.execPath, args);
  children.push(child);
  return child;
}

async function outcomeIn(child: ChildProcessWithoutNullStreams): Promise<string> {
  const lines = createInterface(child.stdout);
  const [line] = await once(lines, "line");
  lines.close();
  return String(line);
}

async function kill(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
