import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { type BuildOptions, build, type Plugin } from "esbuild";

import { root } from "./source.ts";

/** A package of somebody else's that went into the bundle. */
export interface Bundled {
  name: string;
  version: string;
  license: string;
}

/**
 * dockerode and docker-modem bring them along for building images and for a ssh of their own; berth uses neither. Native ones among them
 * could not be bundled at all.
 */
const unused = /^(ssh2|cpu-features|protobufjs|@grpc\/(grpc-js|proto-loader)|bufferutil|utf-8-validate)$/;

const withoutUnused: Plugin = {
  name: "without unused",
  setup(build) {
    // berth's own modules do nothing by being imported, so those a program makes no use of are left out with all they import.
    build.onResolve({ filter: /^\.{1,2}\/.*\.ts$/ }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path),
      sideEffects: false,
    }));
    build.onResolve({ filter: unused }, ({ path }) => ({ path, namespace: "unused" }));
    build.onLoad({ filter: /.*/, namespace: "unused" }, () => ({ contents: "module.exports = {};" }));
    // zod has its messages in fifty languages; berth's are its own.
    build.onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    }));
  },
};

/**
 * What the agent imports and makes no use of, by file: its every module is memory on every host. Of dockerode it calls the connection
 * alone, which prints for nobody; its link to the resolver compresses nothing and serves nobody.
 */
const instead: [RegExp, string][] = [
  [
    /\/dockerode\/lib\/docker\.js$/,
    'const Modem = require("docker-modem"); module.exports = function Docker(options) { this.modem = new Modem(options); };',
  ],
  [/\/debug\/src\/index\.js$/, "module.exports = () => () => {};"],
  [/\/ws\/lib\/permessage-deflate\.js$/, 'module.exports = { extensionName: "permessage-deflate" };'],
  [/\/ws\/lib\/(websocket-server|stream)\.js$/, "module.exports = {};"],
];

const forAgent: Plugin = {
  name: "for the agent",
  setup(build) {
    for (const [filter, contents] of instead) {
      build.onLoad({ filter }, ({ path }) => ({ contents, resolveDir: dirname(path) }));
    }
    // The copy of Node's own streams that serves older Nodes.
    build.onResolve({ filter: /^readable-stream$/ }, () => ({ path: "node:stream", external: true }));
    // Through the namespace that zod calls `z`, esbuild cannot see which half of zod is used.
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replace('import { z } from "zod"', 'import * as z from "zod"'),
      loader: "ts",
    }));
  },
};

/** Where each program begins. */
const entries = { berth: join(root, "cli/main.ts"), agent: join(root, "packaging/agent-entry.ts") };

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node24",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  metafile: true as const,
  logLevel: "warning",
  plugins: [withoutUnused],
} satisfies BuildOptions;

/** Makes `berth.js` and `agent.cjs` with all they import, in `outdir`, and says whose packages are in them. */
export async function bundlePrograms(outdir: string): Promise<Bundled[]> {
  const berth = await build({
    ...common,
    outdir,
    entryPoints: { berth: entries.berth },
    format: "esm",
    // Packages of the older module kind call it for Node's own modules.
    banner: {
      js: 'import { createRequire as berthRequire } from "node:module"; const require = berthRequire(import.meta.url);',
    },
  });
  const agent = await build({
    ...common,
    outdir,
    entryPoints: { agent: entries.agent },
    plugins: [withoutUnused, forAgent],
    // An ES module that imports node:http has all its members made at once, fetch's machinery among them: 5 MiB more.
    format: "cjs",
    outExtension: { ".js": ".cjs" },
    define: { "import.meta.url": "berthFile" },
    banner: { js: 'const berthFile = require("node:url").pathToFileURL(__filename).href;' },
  });
  const inputs = [berth, agent].flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const directories = inputs.flatMap((path) => {
    const found = /^.*node_modules\/(@[^/]+\/)?[^/]+(?=\/)/.exec(path);
    return found === null ? [] : [found[0]];
  });
  return [...new Set(directories)].sort().map((directory) => readPackage(join(root, directory)));
}

function readPackage(directory: string): Bundled {
  const { name, version, license } = JSON.parse(
    readFileSync(join(directory, "package.json"), "utf8"),
  ) as Bundled;
  const file = readdirSync(directory).find((entry) => /^licen[cs]e(\.\w+)?$/i.test(entry));
  const text = file !== undefined && existsSync(join(directory, file)) ? join(directory, file) : undefined;
  return { name, version, license: text === undefined ? license : readFileSync(text, "utf8").trim() };
}
