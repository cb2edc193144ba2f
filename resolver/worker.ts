import type { Hono } from "hono";

import { isLoopbackHost, parseAddress } from "../shared/address.ts";
import { createLog } from "../shared/log.ts";
import { parseName } from "../shared/name.ts";
import type { Apex } from "./answer.ts";
import { createApp } from "./app.ts";
import { standardSettings } from "./settings.ts";
import type { RegistryObject } from "./store/durable-object.ts";
import { createTokenCheck } from "./tokens.ts";
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
  BERTH_AGENT_TOKEN?: string;
  BERTH_READER_TOKEN?: string;
}

/** The app is built once per isolate: building it for every request halves the rate. */
let built: { env: Env; app: Hono } | undefined;

export default {
  fetch(request, env) {
    if (built?.env !== env) built = { env, app: appFor(env) };
    return built.app.fetch(request);
  },
} satisfies ExportedHandler<Env>;

function appFor(env: Env): Hono {
  const log = createLog("resolver", "info", (line) => console.log(line));
  const settings = standardSettings(parseName(env.BERTH_ZONE));
  const { zone, nameServers, ttl } = settings;
  const nameServerAddresses = (env.BERTH_NS_ADDRESS ?? "")
    .split(",")
    .flatMap((text) => parseAddress(text.trim()) ?? []);
  const apex: Apex = { zone, nameServers, nameServerAddresses, ttl, negativeTtl: 1 };
  const tokens = createTokenCheck({
    ...(env.BERTH_AGENT_TOKEN ? { agent: env.BERTH_AGENT_TOKEN } : {}),
    ...(env.BERTH_READER_TOKEN ? { reader: env.BERTH_READER_TOKEN } : {}),
  });
  // One object per zone; asked for anew each time, because a stub that saw a fault stays broken.
  const store = () => env.REGISTRY.get(env.REGISTRY.idFromName(zone));
  return createApp({
    store: {
      push: (hostId, push) => store().push(hostId, push),
      renew: (hostId, renewal) => store().renew(hostId, renewal),
      withdraw: (hostId) => store().withdraw(hostId),
      hosts: () => store().hosts(),
      services: () => store().services(),
      read: (owner) => store().read(owner),
    },
    zone: createEdgeReader(env.ZONE, { read: (owner) => store().read(owner) }, log),
    apex,
    tokens,
    // The platform routes by host name: only a local run is ever asked for under a loopback one.
    acceptsLocal: (request) => isLoopbackHost(new URL(request.url).hostname),
    log,
  });
}
