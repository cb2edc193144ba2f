import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { mustRun, runCommand, startProcess } from "./process.ts";
import { stopAll } from "./started-process.ts";
import { until } from "./wait.ts";

test("a failing command is a result with its status and both outputs", async () => {
  const result = await runCommand(["sh", "-c", "cat; echo no >&2; exit 3"], { input: "in", env: { A: "1" } });
  expect(result).toEqual({ code: 3, stdout: "in", stderr: "no\n" });
  await expect(mustRun(["sh", "-c", "echo no >&2; exit 3"])).rejects.toThrow(/status 3: no/);
});

test("a signal and a time-out show as in a shell", async () => {
  expect((await runCommand(["sh", "-c", "kill -9 $$"])).code).toBe(137);
  expect((await runCommand(["sleep", "30"], { timeoutMs: 50 })).code).toBe(124);
});

test("a program that is not there throws", async () => {
  await expect(runCommand(["berth-has-no-such-program"])).rejects.toThrow(/not found on PATH/);
});

test("a line is found before and after it is printed, from either output", async () => {
  const started = startProcess(["sh", "-c", "echo one; sleep 0.2; echo two >&2; exec sleep 30"]);
  expect(await started.waitForLine(/two/)).toBe("two");
  expect(await started.waitForLine(/one/)).toBe("one");
  expect(started.lines).toEqual(["one", "two"]);
  await expect(started.waitForLine(/three/, 50)).rejects.toThrow(/never printed \/three\/:\none\ntwo/);
  expect(await started.stop()).toEqual({ code: null, signal: "SIGTERM" });
});

test("waiting for a line ends when the process does", async () => {
  const started = startProcess(["sh", "-c", "echo dying; exit 1"], { name: "short" });
  await expect(started.waitForLine(/ready/)).rejects.toThrow(/short never printed \/ready\/:\ndying/);
  expect(await started.exited).toEqual({ code: 1, signal: null });
});

test("stop() kills one that ignores the signal, and its children with it", async () => {
  const started = startProcess(["sh", "-c", "trap '' TERM; sleep 30 & echo $!; wait; wait; sleep 30"]);
  const child = Number(await started.waitForLine(/^\d+$/));
  expect(await started.stop("SIGTERM", 100)).toEqual({ code: null, signal: "SIGKILL" });
  await until("the child is gone", async () => !(await isAlive(child)));
});

test("stopAll() ends what is still running", async () => {
  const both = [startProcess(["sleep", "30"]), startProcess(["sleep", "30"])];
  await stopAll();
  expect(both.map(({ isRunning }) => isRunning)).toEqual([false, false]);
});

test.for(["SIGTERM", "SIGINT", "SIGKILL"] as const)(
  "what a run started ends with it on %s",
  async (signal) => {
    const script = `
    import { startProcess } from ${JSON.stringify(join(import.meta.dirname, "process.ts"))};
    console.log("child " + startProcess(["sleep", "30"]).pid);
  `;
    const run = startProcess([process.execPath, "--input-type=module", "--eval", script], { name: "run" });
    const child = Number((await run.waitForLine(/^child/)).split(" ")[1]);
    expect(await isAlive(child)).toBe(true);
    expect(await run.stop(signal)).toEqual({ code: null, signal });
    await until("the child is gone", async () => !(await isAlive(child)));
  },
);

test("until() says what it waited for and why it was not so", async () => {
  const failing = until("pigs fly", () => Promise.reject(new Error("no wings")), {
    timeoutMs: 60,
    everyMs: 20,
  });
  await expect(failing).rejects.toThrow(/Not within 60 ms: pigs fly/);
  await expect(failing).rejects.toHaveProperty("cause.message", "no wings");
  const startedAt = Date.now();
  expect(await until("soon", () => sleep(1).then(() => Date.now() - startedAt > 40))).toBe(true);
});

/** A zombie counts as gone: PID 1 of a container may be slow to reap. */
async function isAlive(pid: number): Promise<boolean> {
  const { stdout } = await runCommand(["ps", "-o", "stat=", "-p", `${pid}`]);
  return stdout.trim() !== "" && !stdout.startsWith("Z");
}
