// npm run build:client: makes the library `berth/client`, JavaScript and declarations, in dist/client.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { build } from "esbuild";

import { root } from "./source.ts";

const entry = "client/client";

/**
 * Writes `client.js` and below `types` its declarations to `outDir`. Node takes no TypeScript from node_modules, so a program could not
 * import the source. Other people's packages stay dependencies.
 */
export async function buildClient(outDir: string): Promise<void> {
  rmSync(outDir, { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: [join(root, `${entry}.ts`)],
    outfile: join(outDir, "client.js"),
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node24",
    logLevel: "warning",
  });
  writeDeclarations(join(outDir, "types"));
}

/** What the compiler makes of the whole source, less what a program never sees. */
function writeDeclarations(outDir: string): void {
  const made = mkdtempSync(join(tmpdir(), "berth-declarations-"));
  try {
    const project = join(root, "packaging", "tsconfig.client.json");
    const compiler = join(root, "node_modules", ".bin", "tsc");
    execFileSync(compiler, ["-p", project, "--outDir", made], { stdio: ["ignore", "inherit", "inherit"] });
    for (const path of reachable(made)) {
      const target = join(outDir, path);
      mkdirSync(dirname(target), { recursive: true });
      // Outside this repository, files are named as they are when they are run.
      const text = readFileSync(join(made, path), "utf8").replace(/(from "\.[^"]*)\.ts"/g, '$1.js"');
      writeFileSync(target, text);
    }
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** The declarations that the entry's lead to, by path below `directory`. */
function reachable(directory: string): Set<string> {
  const paths = new Set([`${entry}.d.ts`]);
  for (const path of paths) {
    const text = readFileSync(join(directory, path), "utf8");
    for (const [, from = ""] of text.matchAll(/from "(\.[^"]*)\.ts"/g)) {
      paths.add(`${join(dirname(path), from)}.d.ts`);
    }
  }
  return paths;
}

if (import.meta.main) await buildClient(join(root, "dist", "client"));
