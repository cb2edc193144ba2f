import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { whyNoMachines } from "../testbed/nspawn.ts";
import { runCommand } from "../testbed/process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { root } from "./parts.ts";

const from = join(root, "packaging", "systemd");
const units = readdirSync(from).filter((name) => name.endsWith(".service"));

describe.skipIf(whyNoMachines())("the units, by systemd's own judgement", () => {
  let dir: TemporaryDir;

  beforeAll(() => {
    dir = makeTemporaryDir("berth-u-");
    // systemd looks whether the program is there, and nothing is installed here.
    for (const name of units) {
      const text = readFileSync(join(from, name), "utf8");
      writeFileSync(join(dir.path, name), text.replaceAll("/usr/bin/berth", "/bin/true"));
    }
  });
  afterAll(() => dir?.remove());

  it("are the four there are", () => {
    const names = ["agent", "proxy", "resolver", "transparent"];
    expect(units.sort()).toEqual(names.map((name) => `berth-${name}.service`));
  });

  it.each(units)("%s says nothing systemd does not understand", async (unit) => {
    const whose = unit === "berth-proxy.service" ? ["--user"] : [];
    const argv = ["systemd-analyze", ...whose, "verify", join(dir.path, unit)];
    const { code, stderr } = await runCommand(argv, { env: { XDG_RUNTIME_DIR: dir.path } });
    // Of the backoff an older systemd knows nothing, and says so.
    const faults = stderr.split("\n").filter((line) => line && !/'Restart(Steps|MaxDelaySec)'/.test(line));
    expect(faults).toEqual([]);
    expect(code).toBe(0);
  });

  it.each(["berth-agent.service", "berth-resolver.service", "berth-transparent.service"])(
    "%s is closed in to 2.0 or less",
    async (unit) => {
      const argv = ["systemd-analyze", "security", "--offline=true", "--threshold=20", join(dir.path, unit)];
      const { code, stdout } = await runCommand(argv);
      expect(stdout).toMatch(/Overall exposure level for berth-\w+\.service: [012]\.\d/);
      expect(code, stdout).toBe(0);
    },
  );
});
