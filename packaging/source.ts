import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** The Node that berth is tested with, which packages bring along. */
export const nodeBinary = join(root, "node_modules", "node", "bin", "node");

/** berth's own version, or a version of one of its packages. */
export function versionOf(name?: string): string {
  const path =
    name === undefined ? join(root, "package.json") : join(root, "node_modules", name, "package.json");
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

/** What Debian calls this machine's kind; packages are built for it alone, because Node is. */
export function debianArchitecture(): string {
  const name = { x64: "amd64", arm64: "arm64" }[process.arch as string];
  if (name === undefined) throw new Error(`no package is made for ${process.arch}; x64 and arm64 are known`);
  return name;
}

/**
 * The moment, in seconds, that every file in a package is said to be of, so that one source always makes one package:
 * SOURCE_DATE_EPOCH, else the last commit's, else that of package.json (https://reproducible-builds.org/specs/source-date-epoch/).
 */
export function sourceDate(): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given) return Number(given);
  try {
    const log = execFileSync("git", ["log", "-1", "--format=%ct"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return Number(log);
  } catch {
    return Math.floor(statSync(join(root, "package.json")).mtimeMs / 1000);
  }
}
