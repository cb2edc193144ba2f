import { chmod, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { createLog } from "../../shared/log.ts";
import { openUsersFile } from "./users-file.ts";

let folder: string;
let path: string;
let lines: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-users-"));
  path = join(folder, "users");
  lines = [];
});

afterEach(() => rm(folder, { recursive: true }));

describe("a password", () => {
  test("lets in whom it belongs to, and nobody else", async () => {
    const verify = await opened("me:secret\nyou:other\n");
    expect(verify("me", "secret")).toBe("me");
    expect(verify("you", "other")).toBe("you");
    for (const [name, password] of [
      ["me", "other"],
      ["me", "secre"],
      ["me", "secret "],
      ["me", ""],
      ["ME", "secret"],
      ["nobody", "secret"],
      ["", ""],
    ] as const) {
      expect(verify(name, password)).toBeUndefined();
    }
  });

  test("is never in a line of the log", async () => {
    const verify = await opened("me:secret\nhunter2\n");
    verify("me", "guess");
    await replace("me:secret\n:hunter2\n");
    verify("me", "guess");
    expect(lines.join("\n")).toMatch(/line 2/);
    expect(lines.join("\n")).not.toMatch(/secret|hunter2|guess/);
  });
});

describe("a change", () => {
  test("counts from the next password on", async () => {
    const verify = await opened("me:secret\n");
    await replace("you:other\n");
    expect(verify("me", "secret")).toBeUndefined();
    expect(verify("you", "other")).toBe("you");
    expect(lines).toEqual([expect.stringMatching(/^info .*read again: 1 users$/)]);
  });

  test("to a file that is gone, or that others can read, lets nobody in until it is mended, and is said once", async () => {
    const verify = await opened("me:secret\n");
    await chmod(path, 0o640);
    expect(verify("me", "secret")).toBeUndefined();
    expect(verify("me", "secret")).toBeUndefined();
    expect(lines).toEqual([expect.stringMatching(/^warn .*nobody is let in: .*chmod 600/)]);
    await chmod(path, 0o600);
    expect(verify("me", "secret")).toBe("me");
    await rm(path);
    expect(verify("me", "secret")).toBeUndefined();
    expect(verify("me", "secret")).toBeUndefined();
    await replace("me:secret\n");
    expect(verify("me", "secret")).toBe("me");
    expect(lines.filter((line) => line.startsWith("warn"))).toHaveLength(2);
  });
});

describe("at the start", () => {
  test.each([
    ["a missing file", undefined, 0o600, /cannot be read/],
    ["a file that the group can read", "me:secret", 0o640, /chmod 600/],
    ["a file that others can write", "me:secret", 0o602, /chmod 600/],
    ["a file without a user", "# nobody yet\n", 0o600, /names no user/],
  ])("%s is a fault that says what to do", async (_what, text, mode, message) => {
    if (text !== undefined) await writeFile(path, text);
    if (text !== undefined) await chmod(path, mode);
    expect(() => openUsersFile(path, log())).toThrow(
      expect.objectContaining({ code: "bad-users-file", message: expect.stringMatching(message) }),
    );
  });
});

async function opened(text: string) {
  await writeFile(path, text, { mode: 0o600 });
  const users = openUsersFile(path, log());
  return (name: string, password: string) => users.verify(Buffer.from(name), Buffer.from(password));
}

/** As editors write: a new file in the old one's place. */
async function replace(text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

function log() {
  return createLog("socks-proxy", "debug", (line) => lines.push(line));
}
