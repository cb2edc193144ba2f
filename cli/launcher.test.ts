import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** A clone before its packages are installed. */
const clone = mkdtempSync(join(tmpdir(), "berth-t-"));
for (const file of ["berth", "package.json", "package-lock.json"])
  copyFileSync(join(root, file), join(clone, file));
afterAll(() => rmSync(clone, { recursive: true, force: true }));

function launch(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(join(clone, "berth"), args, { encoding: "utf8", input: "" });
  return { status, stdout, stderr };
}

describe("the launcher, without packages", () => {
  test.each([[[]], [["help"]], [["--help"]], [["--yes"]], [["test", "--help"]], [["install", "-h"]]])(
    "%j gets the commands as berth help lists them",
    (args) => {
      const whole = execFileSync(process.execPath, [join(root, "cli", "main.ts"), "help"], {
        encoding: "utf8",
      });
      const commands = (text: string) => text.split("\n").filter((line) => line.startsWith("  "));
      const { status, stdout } = launch(...args);
      expect({ status, commands: commands(stdout) }).toEqual({ status: 0, commands: commands(whole) });
    },
  );

  test("says its version", () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    expect(launch("version")).toMatchObject({ status: 0, stdout: `${version}\n` });
  });

  test.each([["demo"], ["ls"], ["install"]])("%s asks nobody, and says what to run", (command) => {
    const { status, stderr } = launch(command);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringContaining("run './berth install --yes', or 'npm ci --omit=dev' here"),
    });
  });

  test("installs nothing for a command there is not", () => {
    expect(launch("sail", "--yes")).toMatchObject({ status: 2, stderr: expect.stringContaining('"sail"') });
  });
});
