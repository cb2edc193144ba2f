import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { debianArchitecture, root, sourceDate } from "./source.ts";
import { layOutProgram, putFile } from "./tree.ts";

export interface DebOptions {
  version: string;
  /** Where the package is put; made if missing. */
  outDir: string;
  /** As dpkg-deb knows them. */
  compression: "xz" | "zstd" | "gzip" | "none";
}

const units = {
  system: ["berth-agent.service", "berth-resolver.service", "berth-transparent.service"],
  user: ["berth-proxy.service"],
};
/** Files below /etc that are the administrator's once installed. */
const settings = ["agent.env", "proxy.env", "resolver.env"];

/** Builds the Debian package for this machine's kind and returns its path. One source always makes the same bytes. */
export async function buildDeb({ version, outDir, compression }: DebOptions): Promise<string> {
  const tree = mkdtempSync(join(tmpdir(), "berth-deb-"));
  try {
    await layOutProgram(tree, version);
    layOutServices(tree);
    layOutControl(tree, version);
    mkdirSync(outDir, { recursive: true });
    const path = join(outDir, `berth_${version}_${debianArchitecture()}.deb`);
    // mkdtemp makes it for us alone, and it becomes the root directory's own entry in the package.
    execFileSync("chmod", ["-R", "u=rwX,go=rX", tree]);
    const env = { ...process.env, SOURCE_DATE_EPOCH: `${sourceDate()}` };
    const flags = ["--root-owner-group", `-Z${compression}`];
    execFileSync("dpkg-deb", [...flags, "--build", tree, path], {
      env,
      stdio: ["ignore", "ignore", "inherit"],
    });
    return path;
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

function layOutServices(tree: string): void {
  const from = join(root, "packaging", "systemd");
  for (const [manager, names] of Object.entries(units)) {
    for (const name of names) copy(join(from, name), join(tree, "usr/lib/systemd", manager, name));
  }
  for (const name of settings) copy(join(root, "packaging/debian", name), join(tree, "etc/berth", name));
  mkdirSync(join(tree, "etc/berth/services.d"));
  copy(join(root, "packaging/debian/README.Debian"), join(tree, "usr/share/doc/berth/README.Debian"));
}

function layOutControl(tree: string, version: string): void {
  const control = join(tree, "DEBIAN");
  const template = readFileSync(join(root, "packaging/debian/control"), "utf8");
  const facts = {
    VERSION: version,
    ARCHITECTURE: debianArchitecture(),
    INSTALLED_SIZE: `${Math.ceil(sizeOf(tree) / 1024)}`,
  };
  putFile(
    join(control, "control"),
    template.replace(/@(\w+)@/g, (_, key: keyof typeof facts) => facts[key]),
  );
  putFile(join(control, "conffiles"), settings.map((name) => `/etc/berth/${name}\n`).join(""));
  for (const name of ["postinst", "prerm", "postrm"]) {
    putFile(join(control, name), readFileSync(join(root, "packaging/debian", name), "utf8"), 0o755);
  }
}

function copy(from: string, to: string): void {
  mkdirSync(join(to, ".."), { recursive: true });
  copyFileSync(from, to);
}

function sizeOf(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
