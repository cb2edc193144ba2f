import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun } from "./process.ts";
import { makeTemporaryDir, type TemporaryDir } from "./temporary-dir.ts";

/** What a Debian machine that boots has, and what the package needs. */
const usual = ["systemd", "systemd-sysv", "dbus", "procps", "iproute2", "libpam-systemd", "libstdc++6"];
const sourcesDir = "/etc/apt/sources.list.d";

/**
 * A minimal Debian of this machine's own release and mirror, in a new directory. The first one takes a minute to fetch; it stays under the
 * system's temporary directory, for this checkout alone, and the next ones are copies of it. `more` are packages beside the usual ones.
 */
export async function makeDebianTree(more: readonly string[] = []): Promise<TemporaryDir> {
  const cached = await fetchOnce([...usual, ...more]);
  const dir = makeTemporaryDir("berth-debian-");
  try {
    await mustRun(["cp", "--archive", "--reflink=auto", `${cached}/.`, dir.path]);
    return dir;
  } catch (error) {
    dir.remove();
    throw error;
  }
}

async function fetchOnce(packages: readonly string[]): Promise<string> {
  const { suite, mirror } = debianSource();
  const what = [import.meta.dirname, suite, ...packages].join(" ");
  const key = createHash("sha256").update(what).digest("hex").slice(0, 12);
  const place = join(realpathSync(tmpdir()), `berth-debian-cache-${key}`);
  const tree = join(place, "tree");
  mkdirSync(place, { recursive: true, mode: 0o700 });
  // The name can be guessed and the directory is everybody's: a tree that somebody else put there is not run as root.
  if (statSync(place).uid !== process.getuid?.()) throw new Error(`${place} belongs to somebody else`);
  if (existsSync(tree)) return tree;
  const fetched = join(place, `fetched-${process.pid}`);
  try {
    const include = `--include=${packages.join(",")}`;
    const argv = ["debootstrap", "--variant=minbase", include, suite, fetched, mirror];
    await mustRun(argv, { timeoutMs: 600_000 });
    rmSync(join(fetched, "var/cache/apt/archives"), { recursive: true, force: true });
    // Whole or not at all: a run that was interrupted leaves none that passes for finished.
    renameSync(fetched, tree);
  } finally {
    rmSync(fetched, { recursive: true, force: true });
  }
  return tree;
}

/** This machine's release, and the mirror it has its own packages from. */
function debianSource(): { suite: string; mirror: string } {
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (suite === undefined) throw new Error("/etc/os-release names no release (VERSION_CODENAME)");
  const files = [
    "/etc/apt/sources.list",
    ...readdirSync(sourcesDir)
      .sort()
      .map((name) => join(sourcesDir, name)),
  ];
  const paragraphs = files
    .filter((file) => existsSync(file))
    .flatMap((file) => readFileSync(file, "utf8").split(/\n\s*\n/));
  const mirror = paragraphs.map((text) => mirrorOf(text, suite)).find((found) => found !== undefined);
  if (mirror === undefined) throw new Error(`no mirror of ${suite} in this machine's apt sources`);
  return { suite, mirror };
}

/** In either of the two forms sources.list(5) has. */
function mirrorOf(text: string, suite: string): string | undefined {
  const line = new RegExp(`^deb\\s+(?:\\[[^\\]]*\\]\\s+)?(\\S+)\\s+${suite}\\s+main\\b`, "m").exec(text)?.[1];
  if (line !== undefined) return line;
  const suites = /^Suites:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/) ?? [];
  return suites.includes(suite) ? /^URIs:\s*(\S+)/m.exec(text)?.[1] : undefined;
}
