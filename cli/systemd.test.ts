import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

import { serviceManager } from "./systemd.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-notify-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Stands in for systemd-notify, and writes down how it was called. */
function stubNotify(body = ""): void {
  const path = join(dir, "systemd-notify");
  writeFileSync(path, `#!/bin/sh\n${body}\necho "$NOTIFY_SOCKET $* ($SECRET)" >>${dir}/calls\n`);
  chmodSync(path, 0o755);
}

function environment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  return { NOTIFY_SOCKET: "/run/notify", PATH: `${dir}:/usr/bin:/bin`, SECRET: "x", ...more };
}

const calls = () => readFileSync(join(dir, "calls"), "utf8").trimEnd().split("\n");
const noWarning = (message: string) => expect.fail(message);

it("tells systemd in the order it was told, with nothing of its environment but where to", async () => {
  // The first is the slowest.
  stubNotify('[ "$1" != READY=1 ] || sleep 0.2');
  const { tell } = serviceManager(environment(), 1, noWarning);
  await Promise.all([tell("READY=1", "STATUS=at work"), tell("WATCHDOG=1"), tell("STOPPING=1")]);
  expect(calls()).toEqual([
    "/run/notify READY=1 STATUS=at work ()",
    "/run/notify WATCHDOG=1 ()",
    "/run/notify STOPPING=1 ()",
  ]);
});

it("tells nobody when systemd did not start it", async () => {
  stubNotify();
  const { tell, watchdogMs } = serviceManager({ PATH: dir }, 1, noWarning);
  await tell("READY=1");
  expect(existsSync(join(dir, "calls"))).toBe(false);
  expect(watchdogMs).toBeUndefined();
});

it("leaves its children no way to speak for it", () => {
  const env = environment({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" });
  serviceManager(env, 7, noWarning);
  expect(Object.keys(env).sort()).toEqual(["PATH", "SECRET"]);
});

it("minds a watchdog that is for this process", () => {
  const wanted = (more: Record<string, string>) => serviceManager(environment(more), 7, noWarning).watchdogMs;
  expect(wanted({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" })).toBe(30_000);
  expect(wanted({ WATCHDOG_USEC: "30000000" })).toBe(30_000);
  expect(wanted({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" })).toBeUndefined();
  expect(wanted({ WATCHDOG_USEC: "nonsense" })).toBeUndefined();
  expect(wanted({})).toBeUndefined();
});

it.each([
  ["is missing", undefined, /ENOENT/],
  ["fails", "exit 3", /status 3/],
])("says once that systemd-notify %s, and goes on", async (_, body, reason) => {
  if (body !== undefined) stubNotify(body);
  const warnings: string[] = [];
  const env = { ...environment(), PATH: body === undefined ? join(dir, "none") : environment().PATH };
  const { tell } = serviceManager(env, 1, (message) => warnings.push(message));
  await tell("READY=1");
  await tell("WATCHDOG=1");
  expect(warnings).toEqual([expect.stringMatching(reason)]);
});
