import { chownSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leaveToJanitor } from "./janitor.ts";
import { removePodmanTraces } from "./podman-traces.ts";
import { type LaunchOptions, startProcess } from "./process.ts";
import type { StartedProcess } from "./started-process.ts";
import { makeTemporaryDir, type TemporaryDir } from "./temporary-dir.ts";
import { until } from "./wait.ts";

/** Nobody on the machine: only the room's own /etc/passwd and /etc/subuid know it. */
const user = { name: "berth-rootless", id: 61_117, subIds: "6111700:65536" };

/**
 * Where one Podman lives: its own process ids, mounts and /run in a network namespace. Podman keeps locks, runtime state and
 * namespaces in fixed places, and its containers outlive its service; in here they meet nobody's and end with the room.
 */
export class PodmanRoom {
  readonly isRootless: boolean;
  readonly #dir: TemporaryDir;
  readonly #holder: StartedProcess;
  readonly #firstPid: number;
  readonly #forget: () => void;

  static async enter(netns: string, isRootless: boolean): Promise<PodmanRoom> {
    const dir = makeTemporaryDir("berth-p-");
    layOut(dir.path, isRootless);
    const forget = leaveToJanitor({ kind: "podman", id: dir.path });
    const argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    const script = [...common, ...(isRootless ? forUser(dir.path) : []), ...hold].join("\n");
    const holder = startProcess([...argv, "bash", "-ec", script], {
      netns,
      name: `Podman's room in ${netns}`,
    });
    try {
      await holder.waitForLine(/^ready$/);
      const firstPid = await until("the room's first process", () => childrenOf(holder.pid)[0]);
      return new PodmanRoom(dir, isRootless, holder, firstPid, forget);
    } catch (error) {
      await holder.kill9();
      dir.remove();
      forget();
      throw error;
    }
  }

  private constructor(
    dir: TemporaryDir,
    isRootless: boolean,
    holder: StartedProcess,
    firstPid: number,
    forget: () => void,
  ) {
    this.isRootless = isRootless;
    this.#dir = dir;
    this.#holder = holder;
    this.#firstPid = firstPid;
    this.#forget = forget;
  }

  get dir(): string {
    return this.#dir.path;
  }

  /** Starts `podman ...args` in here, as the room's user. */
  start(args: string[]): StartedProcess {
    const enter = ["nsenter", "--target", `${this.#firstPid}`, "--mount", "--pid", "--net"];
    const become = ["setpriv", "--reuid", `${user.id}`, "--regid", `${user.id}`, "--clear-groups"];
    const argv = [...enter, ...(this.isRootless ? become : []), "podman", ...this.#storage(), ...args];
    return startProcess(argv, { name: "podman", env: this.#env() });
  }

  /** Ends whatever runs in here, and removes what it left. */
  async leave(): Promise<void> {
    // The death of its first process ends a process namespace, and the mounts end with the last process.
    this.#holder.killGroup();
    await this.#holder.exited;
    removePodmanTraces(this.dir);
    this.#dir.remove();
    this.#forget();
  }

  #storage(): string[] {
    // The kernel lets a user mount an overlay only in newer versions than some that run this.
    if (this.isRootless) return ["--storage-driver", "vfs"];
    const paths = ["--root", join(this.dir, "root"), "--runroot", join(this.dir, "runroot")];
    return [...paths, "--tmpdir", join(this.dir, "tmp"), "--storage-driver", "overlay"];
  }

  #env(): LaunchOptions["env"] {
    const home = join(this.dir, "home");
    return {
      ...{ HOME: home, TMPDIR: this.dir, XDG_CONFIG_HOME: join(home, ".config"), XDG_DATA_HOME: "" },
      XDG_RUNTIME_DIR: this.isRootless ? `/run/user/${user.id}` : "/run",
      CONTAINERS_CONF: join(this.dir, "containers.conf"),
    };
  }
}

/** Pids of the processes whose parent is `pid`, whichever of its threads started them. */
export function childrenOf(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const children = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8"));
    return children.flatMap((text) => text.split(" ").filter(Boolean).map(Number));
  } catch {
    // It, or one of its threads, has just ended.
    return [];
  }
}

function layOut(dir: string, isRootless: boolean): void {
  mkdirSync(join(dir, "home"));
  writeFileSync(join(dir, "containers.conf"), containersConf(dir));
  if (!isRootless) return;
  for (const file of ["passwd", "group"]) copyFileSync(`/etc/${file}`, join(dir, file));
  const { name, id, subIds } = user;
  writeFileSync(join(dir, "passwd"), `${name}:x:${id}:${id}::${dir}/home:/bin/sh\n`, { flag: "a" });
  writeFileSync(join(dir, "group"), `${name}:x:${id}:\n`, { flag: "a" });
  writeFileSync(join(dir, "subids"), `${name}:${subIds}\n`);
  for (const path of [dir, join(dir, "home")]) chownSync(path, id, id);
}

/**
 * systemd does not run in the room: cgroups are made by Podman itself, events go to a file. crun refuses hybrid cgroups, and a
 * machine may not let Podman raise the limits it would set by itself.
 */
function containersConf(dir: string): string {
  return `
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=8192:8192"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "netavark"
network_config_dir = "${dir}/networks"
`;
}

const common = [
  "mount --make-rprivate /",
  "mount -t tmpfs tmpfs /run",
  "mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
  "mkdir -p /run/lock",
];

function forUser(dir: string): string[] {
  return [
    `mount --bind ${dir}/passwd /etc/passwd`,
    `mount --bind ${dir}/group /etc/group`,
    ...["subuid", "subgid"].map((file) => `mount --bind ${dir}/subids /etc/${file}`),
    // slirp4netns opens it as the user; the machine's own may be root's alone.
    `mknod -m 666 ${dir}/tun c 10 200`,
    `mount --bind ${dir}/tun /dev/net/tun`,
    `mkdir -p /run/user/${user.id}`,
    `chown ${user.id}:${user.id} /run/user/${user.id}`,
    `chmod 700 /run/user/${user.id}`,
  ];
}

// The first process inherits whatever loses its parent, and bash buries it.
const hold = ["echo ready", "while :; do sleep 1000 & wait $!; done"];
