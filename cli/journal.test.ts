import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { BerthError } from "../shared/errors.ts";
import { logFor } from "./command.ts";
import { runCommandLine } from "./command-line.ts";
import { isJournal } from "./journal.ts";
import { captureOutput } from "./testing/captured-output.ts";

let dir: string;
let fd: number;
let own: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-j-"));
  fd = openSync(join(dir, "stderr"), "w");
  const { dev, ino } = fstatSync(fd, { bigint: true });
  own = `${dev}:${ino}`;
});
afterAll(() => {
  closeSync(fd);
  rmSync(dir, { recursive: true });
});

test("stderr is the journal where JOURNAL_STREAM names its device and inode", () => {
  expect(isJournal(own, fd)).toBe(true);
});

test("it is not where output was led elsewhere since, or nothing is named", () => {
  const [device, inode] = own.split(":");
  for (const stream of [
    undefined,
    "",
    ":",
    device,
    `${device}:`,
    `${inode}:${device}`,
    `${own}0`,
    ` ${own}`,
    "8:1",
  ])
    expect(isJournal(stream, fd)).toBe(false);
});

test("it is not where stderr is closed", () => {
  expect(isJournal(own, 999_999)).toBe(false);
});

describe("what berth says on stderr", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  function asInJournal(): void {
    const { dev, ino } = fstatSync(2, { bigint: true });
    vi.stubEnv("JOURNAL_STREAM", `${dev}:${ino}`);
  }

  const failing = {
    summary: "",
    options: {},
    run: () => Promise.reject(new BerthError("x", "the engine says:\n<7>all is well\u001b[2J")),
  };

  test("in a service has the journal's levels", async () => {
    asInJournal();
    const output = captureOutput();
    logFor("agent", "info").warn("web: no port\n<3>x");
    await runCommandLine({ failing }, ["failing"]);
    expect(output.stderr).toBe(
      "<4>agent: web: no port <3>x\n<3>berth: the engine says: <7>all is well [2J\n",
    );
  });

  test("to a person has words, also below a service whose journal it is not", async () => {
    vi.stubEnv("JOURNAL_STREAM", own);
    const output = captureOutput();
    logFor("agent", "info").warn("web: no port");
    await runCommandLine({ failing }, ["failing"]);
    expect(output.stderr).toBe("warn  agent: web: no port\nberth: the engine says: <7>all is well [2J\n");
  });
});
