import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

import { debianArchitecture, nodeBinary, sourceDate } from "../source.ts";
import { agentEnvironment, layOutProgram, libraryDir, programs, putFile } from "../tree.ts";

export interface ImageOptions {
  version: string;
  outDir: string;
}

const stateDir = "/var/lib/berth";

/**
 * A new volume takes over owner and mode of the directory it is mounted at. By the owner the user `berth` may write there, and by the group
 * a root without capabilities, for whom its own number alone would open nothing.
 */
const stateOwner = ["--owner=65532", "--group=0"];

/**
 * What `docker import` is told about the root file system. Node is the container's first process, so that it gets SIGTERM and SIGHUP
 * itself. The label keeps the agent out of what it declares, whatever flags its own container is run with.
 */
const changes = [
  `ENTRYPOINT ${JSON.stringify([`/${libraryDir}/node`, ...programs.agent])}`,
  'CMD ["agent"]',
  `ENV BERTH_STATE_DIR=${stateDir}`,
  // As the package's own start has it.
  ...Object.entries(agentEnvironment).map(([name, value]) => `ENV ${name}=${value}`),
  `VOLUME ${stateDir}`,
  "LABEL berth.ignore=true",
];

/** Makes the image's root file system as a tar file and returns its path: the program and the shared libraries Node is linked with. */
export async function buildImage({ version, outDir }: ImageOptions): Promise<string> {
  const tree = mkdtempSync(join(tmpdir(), "berth-image-"));
  try {
    await layOutProgram(tree, version);
    for (const library of sharedLibraries(nodeBinary)) {
      mkdirSync(join(tree, library, ".."), { recursive: true });
      copyFileSync(library, join(tree, library));
    }
    // The C library finds names by it; without the users Node cannot say who it runs as.
    putFile(join(tree, "etc/nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n");
    putFile(
      join(tree, "etc/passwd"),
      "root:x:0:0:root:/:/sbin/nologin\nberth:x:65532:65532:berth:/:/sbin/nologin\n",
    );
    putFile(join(tree, "etc/group"), "root:x:0:\nberth:x:65532:\n");
    mkdirSync(join(tree, dirname(stateDir)), { recursive: true });
    mkdirSync(join(tree, "tmp"));
    execFileSync("chmod", ["-R", "u=rwX,go=rX", tree]);
    execFileSync("chmod", ["1777", join(tree, "tmp")]);
    mkdirSync(outDir, { recursive: true });
    const path = join(outDir, `berth_${version}_${debianArchitecture()}.rootfs.tar`);
    archive("--create", path, tree, [".", "--owner=0", "--group=0"]);
    mkdirSync(join(tree, stateDir), { recursive: true });
    execFileSync("chmod", ["770", join(tree, stateDir)]);
    const [below, state] = [join(tree, dirname(stateDir)), `./${basename(stateDir)}`];
    archive("--append", path, below, [state, ...stateOwner, `--transform=s,^\\./,.${dirname(stateDir)}/,`]);
    return path;
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

/** Stamped so that one source always makes the same bytes. */
function archive(action: "--create" | "--append", path: string, from: string, words: string[]): void {
  const stamp = ["--sort=name", `--mtime=@${sourceDate()}`, "--numeric-owner"];
  execFileSync("tar", [action, ...stamp, "--file", path, "--directory", from, ...words]);
}

/** The command that makes an image of the tar file in the engine it is given to. */
export function importCommand(path: string, tag: string): string[] {
  return ["docker", ...importArguments(path, tag).map((word) => (/[\s"[]/.test(word) ? `'${word}'` : word))];
}

/** The same, for a program rather than a shell. */
export function importArguments(path: string, tag: string): string[] {
  return ["import", ...changes.flatMap((change) => ["--change", change]), path, tag];
}

/** Absolute paths, the dynamic linker's among them. */
function sharedLibraries(program: string): string[] {
  const lines = execFileSync("ldd", [program], { encoding: "utf8" }).split("\n");
  return lines.flatMap((line) => {
    const path = /(\/\S+) \(0x/.exec(line)?.[1];
    return path === undefined || basename(path) === "linux-vdso.so.1" ? [] : [path];
  });
}
