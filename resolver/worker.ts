import { isLoopbackHost, parseAddress } from "../shared/address.ts";
import { BerthError, describeFault } from "../shared/errors.ts";
import { createLog } from "../shared/log.ts";
import { parseName } from "../shared/name.ts";
import type { Apex } from "./answer.ts";
import { createApp, type ResolverApp } from "./app.ts";
import { createCachedTokenCheck } from "./cached-tokens.ts";
import { replyToFault } from "./faults.ts";
import { RefusalAudit } from "./refusal-audit.ts";
import { standardSettings } from "./settings.ts";
import type { RegistryObject } from "./store/durable-object.ts";
import { createTokenCheck } from "./tokens.ts";
import { isLinkRequest, openWorkerLink, type WorkerLinksParts } from "./worker/links.ts";
import { createWorkerRefusals, type WorkerRefusals } from "./worker/refusals.ts";
import { createRegistryClient } from "./worker/registry-client.ts";
import { createEdgeReader } from "./zone/edge-reader.ts";

export { RegistryObject } from "./store/durable-object.ts";

/** What wrangler.toml and `wrangler secret put` give the Worker. */
export interface Env {
  /** The copy of the zone at the edge. */
  ZONE: KVNamespace;
  REGISTRY: DurableObjectNamespace<RegistryObject>;
  BERTH_ZONE: string;
  /** Addresses of ns.<zone>, with commas; optional. */
  BERTH_NS_ADDRESS?: string;
  /** Whether lookups need a token: `on`, `off`, or `auto`, which is on unless it runs on this machine alone. */
  BERTH_LOOKUP_TOKENS?: string;
  /** The path a proxy in front takes off; hosts sign the path they ask for. */
  BERTH_PUBLIC_PATH?: string;
  BERTH_AGENT_TOKEN?: string;
  BERTH_READER_TOKEN?: string;
  BERTH_ADMIN_TOKEN?: string;
}

interface Resolver {
  app: ResolverApp;
  links: WorkerLinksParts;
  refusals: WorkerRefusals;
}

/** A lookup's token is asked for anew after so long; one that was revoked looks names up until then. */
const lookupTokenMs = 30_000;
/** While the object cannot be reached, KV still answers for those whose token an isolate saw to be good within so long. */
const lookupTokenOutageMs = 10 * 60_000;

const log = createLog("resolver", "info", (line) => console.log(line));
/** Built once per isolate: building one for every request halves the rate. One for this machine alone, one for all others. */
let built = new Map<boolean, Resolver>();
let builtFor: Env | undefined;

export default {
  async fetch(request, env, context) {
    try {
      const resolver = resolverFor(request, env);
      const isLink = isLinkRequest(request);
      const reply = await (isLink
        ? openWorkerLink(request, resolver.links)
        : resolver.app.fetch(request, env, context));
      resolver.refusals.flushAfter((work) => context.waitUntil(work));
      return reply;
    } catch (fault) {
      return replyToFault(fault, () => log.error(`cannot start: ${describeFault(fault)}`));
    }
  },
} satisfies ExportedHandler<Env>;

/** The platform routes by host name: only a local run is ever asked for under a loopback one. */
function resolverFor(request: Request, env: Env): Resolver {
  if (builtFor !== env) built = new Map();
  builtFor = env;
  const isLocal = isLoopbackHost(new URL(request.url).hostname);
  const resolver = built.get(isLocal) ?? createResolver(env, isLocal);
  built.set(isLocal, resolver);
  return resolver;
}

function createResolver(env: Env, isLocal: boolean): Resolver {
  const now = Date.now;
  const settings = standardSettings(parseName(env.BERTH_ZONE));
  const apex = apexOf(env, settings);
  // One object per zone.
  const registry = createRegistryClient(() => env.REGISTRY.get(env.REGISTRY.idFromName(apex.zone)));
  const { store, tokenTable, audit } = registry;
  const tokens = createTokenCheck({ bootstrap: bootstrapTokens(env), table: tokenTable, now });
  const refusals = createWorkerRefusals({
    refusals: new RefusalAudit(audit),
    wait: (ms) => scheduler.wait(ms),
    onFault: (fault) => log.error(`audit record: ${describeFault(fault)}`),
  });
  const publicPath = env.BERTH_PUBLIC_PATH ?? "";
  const app = createApp({
    store,
    zone: createEdgeReader(env.ZONE, { read: async (owner) => store.read(owner) }, log),
    apex,
    tokens,
    lookupsNeedToken: lookupsNeedToken(env, isLocal),
    lookupTokens: createCachedTokenCheck(tokens, {
      positiveMs: lookupTokenMs,
      outageMs: lookupTokenOutageMs,
      now,
    }),
    acceptsLocal: () => isLocal,
    tokenTable,
    audit,
    refusals,
    changes: (context) => registry.openFeed(context.req.raw, context.get("access")),
    now,
    publicPath,
    // The platform writes it, in the place of what a client sends under that name.
    peerOf: (context) => context.req.header("cf-connecting-ip"),
    log,
  });
  return { app, links: { registry, tokens, refusals, publicPath, now, log }, refusals };
}

function apexOf(env: Env, { zone, nameServers, ttl }: ReturnType<typeof standardSettings>): Apex {
  const nameServerAddresses = (env.BERTH_NS_ADDRESS ?? "")
    .split(",")
    .flatMap((text) => parseAddress(text.trim()) ?? []);
  return { zone, nameServers, nameServerAddresses, ttl, negativeTtl: 1 };
}

function bootstrapTokens(env: Env) {
  return {
    ...(env.BERTH_AGENT_TOKEN ? { agent: env.BERTH_AGENT_TOKEN } : {}),
    ...(env.BERTH_READER_TOKEN ? { reader: env.BERTH_READER_TOKEN } : {}),
    ...(env.BERTH_ADMIN_TOKEN ? { admin: env.BERTH_ADMIN_TOKEN } : {}),
  };
}

function lookupsNeedToken({ BERTH_LOOKUP_TOKENS: when = "auto" }: Env, isLocal: boolean): boolean {
  if (when === "on" || when === "off") return when === "on";
  if (when === "auto") return !isLocal;
  throw new BerthError("bad-config", `BERTH_LOOKUP_TOKENS is "${when}"; it can be on, off or auto`);
}
