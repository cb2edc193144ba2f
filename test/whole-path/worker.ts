import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "../testbed/process.ts";
import { node, Part, root } from "./parts.ts";
import { type ResolverPart, type ResolverPlace, resolverAt, resolverFiles } from "./resolver-part.ts";

/** What worker-main.ts is told. */
export type WorkerSettings = {
  /** The folder wrangler bundled into; worker.js is in it. */
  bundle: string;
  dir: string;
  address: string;
  port: number;
  agentToken: string;
  readerToken: string;
  /** Workers KV as a reader far away can find it: what was once read, absence too, stays for a minute. */
  hasOldCopy: boolean;
  /** Without TLS, on loopback. */
  isPlain: boolean;
};

/** The Worker as it would be deployed, in workerd, at the place of a resolver on Node. */
export async function startWorker(
  place: ResolverPlace,
  runtime: "worker" | "worker with an old copy",
): Promise<ResolverPart> {
  const { dir, client } = place;
  const { url, address, port } = resolverAt(place);
  const files = resolverFiles(dir);
  const tokens = { agentToken: "an-agents-token", readerToken: "a-readers-token" };
  mkdirSync(dir, { recursive: true });
  writeFileSync(files.agentTokenFile, tokens.agentToken);
  writeFileSync(files.readerTokenFile, tokens.readerToken);
  const settings: WorkerSettings = {
    ...{ bundle: await bundleWorker(dir), dir, address, port, ...tokens },
    hasOldCopy: runtime === "worker with an old copy",
    isPlain: false,
  };
  const part = await startWorkerPart(settings, client.netns);
  return { part, ...files, url, address, port, dir };
}

/** The same on this machine, without TLS, and stopped by the caller. */
export async function startPlainWorker(dir: string, port: number): Promise<Part> {
  const tokens = { agentToken: "an-agents-token", readerToken: "a-readers-token" };
  const bundle = await bundleWorker(dir);
  return startWorkerPart({
    bundle,
    dir,
    address: "127.0.0.1",
    port,
    ...tokens,
    hasOldCopy: false,
    isPlain: true,
  });
}

function startWorkerPart(settings: WorkerSettings, netns?: string): Promise<Part> {
  const argv = [node, join(import.meta.dirname, "worker-main.ts"), JSON.stringify(settings)];
  // Miniflare's own temporary files stay when it is killed; here they go with the rest.
  const env = { TMPDIR: settings.dir };
  const place = netns === undefined ? {} : { netns };
  return Part.start({ name: "worker", argv, ...place, env, ready: /the Worker serves/ });
}

/** By the command that deploys it, without deploying. */
async function bundleWorker(dir: string): Promise<string> {
  const bundle = join(dir, "bundle");
  const wrangler = join(root, "node_modules", "wrangler", "bin", "wrangler.js");
  const env = {
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_LOG_PATH: dir,
    CI: "1",
  };
  await mustRun([node, wrangler, "deploy", "--dry-run", "--outdir", bundle], { cwd: root, env });
  return bundle;
}
