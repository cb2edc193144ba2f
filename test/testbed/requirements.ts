import { accessSync, constants } from "node:fs";
import { join } from "node:path";

/** Throws one clear sentence when this machine cannot run engines of our own. */
export function assertCanRunEngines(): void {
  const reason = whyNoEngines();
  if (reason) throw new Error(reason);
}

/** Why no engine can be started here, or undefined; for tests that are skipped where they cannot run. */
export function whyNoEngines(): string | undefined {
  if (process.getuid?.() !== 0) return "The testbed starts Docker engines of its own and must run as root.";
  const missing = ["dockerd", "docker", "ip", "nsenter", "iptables", "busybox"].filter(
    (name) => !programPath(name),
  );
  if (missing.length === 0) return undefined;
  return `The testbed needs ${missing.join(", ")}: on Debian, apt-get install docker.io iproute2 iptables util-linux busybox-static.`;
}

/** Throws one clear sentence when this machine cannot run Podman beside its own. */
export function assertCanRunPodman(): void {
  const reason = whyNoPodman();
  if (reason) throw new Error(reason);
}

/** Why no Podman can be started here, or undefined. */
export function whyNoPodman(): string | undefined {
  const programs = ["podman", "runc", "slirp4netns", "newuidmap", "nsenter", "unshare", "setpriv"];
  const missing = programs.filter((name) => !programPath(name));
  if (missing.length === 0) return whyNoEngines();
  return `The testbed needs ${missing.join(", ")}: on Debian, apt-get install podman runc slirp4netns uidmap netavark aardvark-dns util-linux.`;
}

/** Where a program lies on PATH. */
export function programPath(name: string): string | undefined {
  const dirs = (process.env.PATH ?? "").split(":").filter(Boolean);
  return dirs.map((dir) => join(dir, name)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
