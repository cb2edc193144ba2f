import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";

import { BerthError } from "../shared/errors.ts";
import { confirm } from "./confirm.ts";
import { asLastResort } from "./last-resort.ts";

const run = promisify(execFile);

/** Those of `packages` that are not installed, by dpkg's word. */
export async function missingPackages(packages: string[]): Promise<string[]> {
  if (!existsSync("/usr/bin/dpkg-query")) {
    const message = `not a Debian machine: install ${packages.join(", ")} (or what they are called here) yourself`;
    throw new BerthError("cannot-install", message);
  }
  const states = await Promise.all(
    packages.map((name) =>
      // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own format, not ours
      run("dpkg-query", ["-W", "-f=${Status}", name]).then(
        ({ stdout }) => stdout.trim() === "install ok installed",
        () => false,
      ),
    ),
  );
  return packages.filter((_, index) => !states[index]);
}

/**
 * Says what will be installed, asks unless `agreed`, and installs it. Throws a BerthError `cannot-install` with the way to mend it, and the
 * interruption's own once apt has ended: half of an installation cannot be undone.
 */
export async function installPackages(
  packages: string[],
  why: string,
  agreed: boolean,
  interrupted: AbortSignal,
): Promise<void> {
  if (packages.length === 0) return;
  console.log(`berth: to be installed from Debian (${why}): ${packages.join(" ")}`);
  if (!agreed && !(await isAgreed(interrupted))) {
    throw new BerthError("cannot-install", `nothing was installed; berth needs ${packages.join(", ")}`);
  }
  if (process.getuid?.() !== 0) {
    throw new BerthError(
      "cannot-install",
      `installing needs root: sudo apt-get install ${packages.join(" ")}`,
    );
  }
  const patience = ["-o", "DPkg::Lock::Timeout=600", "-qq"];
  await apt([...patience, "update"], interrupted);
  await apt([...patience, "-y", "install", "--no-install-recommends", ...packages], interrupted);
}

async function isAgreed(interrupted: AbortSignal): Promise<boolean> {
  if (process.stdin.isTTY) return confirm("Install them?", true, interrupted);
  throw new BerthError("cannot-install", "there is nobody to ask; add --yes to install without asking");
}

/**
 * As `run`, with the services of what is installed meanwhile left stopped: a test's SSH or Prometheus server is not to listen on the
 * machine. A policy-rc.d, which says so to invoke-rc.d(8), is there for the while; one that is there already decides itself.
 */
export async function withServicesStopped(run: () => Promise<void>, file = policyFile): Promise<void> {
  try {
    writeFileSync(file, "#!/bin/sh\nexit 101\n", { flag: "wx", mode: 0o755 });
  } catch {
    // Somebody's own, or nothing we may write: then apt says what else it needs.
    return run();
  }
  const remove = (): void => rmSync(file, { force: true });
  const cancel = asLastResort(remove);
  try {
    await run();
  } finally {
    remove();
    cancel();
  }
}

const policyFile = "/usr/sbin/policy-rc.d";

/** Its output goes to our stderr: stdout is for what the command prints. */
async function apt(args: string[], interrupted: AbortSignal): Promise<void> {
  interrupted.throwIfAborted();
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const child = spawn("apt-get", args, { env, stdio: ["ignore", process.stderr.fd, "inherit"] });
  const [code] = await once(child, "exit");
  interrupted.throwIfAborted();
  if (code !== 0)
    throw new BerthError(
      "cannot-install",
      `apt-get ${args.at(-1)} failed (exit code ${code}); its message is above`,
    );
}
