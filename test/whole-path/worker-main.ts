import { readFileSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { openAuthority } from "../../resolver/serve/authority.ts";
import type { WorkerSettings } from "./worker.ts";

// A process of its own, so that workerd listens in the network namespace of the machine it stands for.

const settings = JSON.parse(process.argv[2] ?? "") as WorkerSettings;
const { bundle, dir, address, port, hasOldCopy } = settings;
const wranglerToml = readFileSync(new URL("../../wrangler.toml", import.meta.url), "utf8");

const worker = {
  type: "ESModule" as const,
  path: "worker.js",
  contents: readFileSync(join(bundle, "worker.js"), "utf8"),
};
const oldCopy = {
  type: "ESModule" as const,
  path: "old-copy.js",
  contents: readFileSync(new URL("old-copy.js", import.meta.url), "utf8"),
};
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    // The first one is the entry.
    modules: hasOldCopy ? [oldCopy, worker] : [worker],
    compatibilityDate: /^compatibility_date = "(.*)"$/m.exec(wranglerToml)?.[1] ?? "",
    compatibilityFlags: ["nodejs_compat"],
    kvNamespaces: ["ZONE"],
    durableObjects: { REGISTRY: { className: "RegistryObject", useSQLite: true } },
    bindings: {
      BERTH_ZONE: "berth.internal",
      BERTH_NS_ADDRESS: address,
      BERTH_AGENT_TOKEN: settings.agentToken,
      BERTH_READER_TOKEN: settings.readerToken,
    },
    resourcePersistencePath: join(dir, "storage"),
    ...(await transport()),
    host: address,
    port,
    cf: false,
  }),
);
console.log(`the Worker serves ${await miniflare.ready}`);
process.once("SIGTERM", () => void miniflare.dispose().then(() => process.exit(0)));

async function transport() {
  if (settings.isPlain) return {};
  const authority = await openAuthority(join(dir, "tls"));
  const { cert, key } = await authority.serverCertificate(["localhost", address], Date.now());
  return { https: true, httpsKey: key, httpsCert: cert };
}
