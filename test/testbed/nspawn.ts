import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { makeDebianTree } from "./debian-tree.ts";
import { type CommandResult, netnsPath, runCommand, startProcess } from "./process.ts";
import { programPath, whyNoEngines } from "./requirements.ts";
import type { StartedProcess } from "./started-process.ts";
import type { TemporaryDir } from "./temporary-dir.ts";
import { until } from "./wait.ts";

export type MachineOptions = {
  /** The network namespace the machine is in, instead of one with a network of its own. */
  netns: string;
  /** Directories of this machine by the path the other one sees them at. */
  binds?: Record<string, string>;
  /** Debian packages beside those every machine has. */
  packages?: readonly string[];
  /** It may set its own network: the links and addresses of its namespace. */
  ownsNetwork?: boolean;
  /** Called with the directory of its files before it boots. */
  prepare?: (root: string) => void;
};

/** Why no machine can be booted here, or undefined; for tests that are skipped where they cannot run. */
export function whyNoMachines(): string | undefined {
  const missing = ["systemd-nspawn", "debootstrap"].filter((name) => !programPath(name));
  if (missing.length === 0) return whyNoEngines();
  return `The testbed needs ${missing.join(", ")}: on Debian, apt-get install systemd-container debootstrap.`;
}

/** Boots a Debian with systemd as its first process, and returns when all its units are up. */
export async function bootMachine(options: MachineOptions): Promise<Machine> {
  const tree = await makeDebianTree(options.packages);
  try {
    settle(tree.path);
    options.prepare?.(tree.path);
    const argv = nspawnArgv(tree.path, options);
    const machine = new Machine(tree, () => startProcess(argv, { name: "systemd-nspawn" }));
    await machine.untilUp();
    return machine;
  } catch (error) {
    tree.remove();
    throw error;
  }
}

/** A booted Debian: its own processes, users, units and files, on a network of ours. */
export class Machine {
  /** Where its files are, seen from here. */
  readonly root: string;
  readonly #tree: TemporaryDir;
  readonly #boot: () => StartedProcess;
  #nspawn: StartedProcess;

  constructor(tree: TemporaryDir, boot: () => StartedProcess) {
    this.root = tree.path;
    this.#tree = tree;
    this.#boot = boot;
    this.#nspawn = boot();
  }

  /** Runs a command in it as root, with nothing of our own environment. */
  run(...argv: string[]): Promise<CommandResult> {
    const environment = [
      "env",
      "-i",
      "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
      "LC_ALL=C",
      "DEBIAN_FRONTEND=noninteractive",
    ];
    return runCommand(["nsenter", "--target", `${this.#leader()}`, "--all", ...environment, ...argv]);
  }

  /** As `run`, but a non-zero status throws with what the command wrote. Returns its stdout without the last line break. */
  async must(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...argv);
    if (code !== 0) throw new Error(`${argv.join(" ")}: status ${code}: ${stderr.trim() || stdout.trim()}`);
    return stdout.trimEnd();
  }

  /** A property of a unit, as `systemctl show` prints it. */
  property(unit: string, name: string): Promise<string> {
    return this.must("systemctl", "show", "--value", `--property=${name}`, unit);
  }

  write(path: string, text: string, mode = 0o644): void {
    const file = join(this.root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode });
  }

  read(path: string): string {
    return readFileSync(join(this.root, path), "utf8");
  }

  exists(path: string): boolean {
    return existsSync(join(this.root, path));
  }

  async untilUp(): Promise<void> {
    await until(
      "systemd to be up",
      async () => {
        if (!this.#nspawn.isRunning) throw new Error(`systemd-nspawn ended:\n${this.#nspawn.tail()}`);
        return (await this.run("systemctl", "is-system-running")).stdout.trim() === "running";
      },
      { timeoutMs: 60_000, everyMs: 200 },
    );
  }

  /** Shuts it down, and returns when all its units are up again. What `meanwhile` does is done while it is off. */
  async reboot(meanwhile: () => Promise<void> = async () => {}): Promise<void> {
    await this.#powerOff();
    await meanwhile();
    this.#nspawn = this.#boot();
    await this.untilUp();
  }

  /** Shuts it down and removes its files. */
  async stop(): Promise<void> {
    await this.#powerOff();
    this.#tree.remove();
    removeEmptyCgroups();
  }

  async #powerOff(): Promise<void> {
    if (!this.#nspawn.isRunning) return;
    await this.run("systemctl", "poweroff").catch(() => undefined);
    await Promise.race([this.#nspawn.exited, new Promise((resolve) => setTimeout(resolve, 20_000).unref())]);
    if (this.#nspawn.isRunning) this.#nspawn.killGroup();
    await this.#nspawn.exited;
  }

  /** Its first process, as this machine counts: nspawn's only child. */
  #leader(): number {
    const { pid } = this.#nspawn;
    const [leader] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    if (!leader) throw new Error("the machine has no first process");
    return Number(leader);
  }
}

function nspawnArgv(tree: string, { netns, binds = {}, ownsNetwork = false }: MachineOptions): string[] {
  return [
    ...["systemd-nspawn", "--quiet", "--boot", "--directory", tree, "--machine", "berth-machine"],
    // There need be no systemd on this side to make a scope for it or to keep a register.
    ...["--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off", "--timezone=off"],
    `--network-namespace-path=${netnsPath(netns)}`,
    ...(ownsNetwork ? ["--capability=CAP_NET_ADMIN"] : []),
    ...Object.entries(binds).map(([inside, ours]) => `--bind=${ours}:${inside}`),
  ];
}

/** What would wait for a terminal or a network that is not there. */
function settle(tree: string): void {
  const units = join(tree, "etc/systemd/system");
  const waiting = ["systemd-networkd-wait-online.service", "NetworkManager-wait-online.service"];
  for (const name of ["console-getty.service", ...waiting]) {
    rmSync(join(units, name), { force: true });
    symlinkSync("/dev/null", join(units, name));
  }
}

/** nspawn leaves the two groups it made below our own. The kernel removes none that is in use. */
function removeEmptyCgroups(): void {
  const paths = readFileSync("/proc/self/cgroup", "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(":")[2] ?? "/");
  const mounts = ["", "unified", "systemd"].map((name) => join("/sys/fs/cgroup", name));
  for (const mount of mounts) {
    for (const path of new Set(paths)) {
      for (const name of ["payload", "supervisor"]) removeCgroup(join(mount, path, name));
    }
  }
}

function removeCgroup(path: string): void {
  if (!existsSync(path)) return;
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    for (const entry of entries.filter((each) => each.isDirectory())) removeCgroup(join(path, entry.name));
    rmdirSync(path);
  } catch {
    // In use, so not what our machine left.
  }
}
