// npm run build:client: makes the package with the library `berth/client`, ready for npm pack, in dist/client.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { build } from "esbuild";

import { root } from "./source.ts";

const entry = "client/client";

/** What a program that imports the library needs of berth's dependencies. */
const dependencies = ["dns-packet", "undici", "zod"];

/**
 * Writes `client.js`, below `types` its declarations, and a package.json of its own to `outDir`: a program needs neither berth's command nor
 * what that depends on. Node takes no TypeScript from node_modules, so a program could not import the source. Other people's packages stay
 * dependencies.
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
  writeFileSync(join(outDir, "package.json"), `${JSON.stringify(manifest(), undefined, 2)}\n`);
  cpSync(join(root, "LICENSE"), join(outDir, "LICENSE"));
  cpSync(join(root, "docs", "client.md"), join(outDir, "README.md"));
  cpSync(join(root, "examples"), join(outDir, "examples"), { recursive: true });
}

function manifest(): object {
  const whole = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, unknown> & {
    dependencies: Record<string, string>;
  };
  const { name, version, license, engines } = whole;
  return {
    name,
    version,
    description: "Connects a program to services in containers by their berth names.",
    license,
    engines,
    type: "module",
    exports: { "./client": { types: `./types/${entry}.d.ts`, default: "./client.js" } },
    dependencies: Object.fromEntries(dependencies.map((each) => [each, whole.dependencies[each]])),
  };
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
