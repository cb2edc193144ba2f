import type { Address } from "../shared/address.ts";
import { isLoopbackHost } from "../shared/address.ts";
import { BerthError } from "../shared/errors.ts";
import { addressesOfHost, advertisedSite } from "./addresses.ts";
import type { AgentConfig } from "./config.ts";
import type { DeclareRules } from "./declare/input.ts";
import { createEngine } from "./engine/docker.ts";
import type { EngineLimits } from "./engine/docker-engine.ts";
import type { EngineTarget } from "./engine/target.ts";
import type { WatchedEngine } from "./engine-loop.ts";
import type { SiteAddresses } from "./site.ts";

/**
 * What the operator chose, as the declaring of a set reads it; one object for the agent's whole life. Throws a BerthError `bad-config` when
 * one choice forbids another.
 */
export function rulesFrom(config: AgentConfig): DeclareRules {
  const { zone, hostLabel, families, nameTemplate: template, publishUnpublished, only, except } = config;
  const mayRelay = config.relayPorts !== undefined;
  if (publishUnpublished && !mayRelay) {
    const message =
      "--publish-unpublished relays ports, and --relay-ports off forbids it; leave one of them out";
    throw new BerthError("bad-config", message, { who: "--relay-ports" });
  }
  return { zone, hostLabel, families, template, publishUnpublished, mayRelay, only, except };
}

/**
 * The engines to watch, none of them asked anything yet. Throws a BerthError `bad-config` when one cannot be reached as configured, or when
 * its ports are open on another machine while everything else is on this one.
 */
export function watchedEngines(
  { engine: targets, resolver, advertise }: AgentConfig,
  limits?: EngineLimits,
): WatchedEngine[] {
  const remote = targets.find(isRemote);
  const isAllHere = resolver.every((url) => isLoopbackHost(new URL(url).hostname));
  if (remote !== undefined && isAllHere && advertise.length === 0) {
    const message = `--engine ${remote.where}: its ports are open on another machine, and with the resolver on this one this host would advertise 127.0.0.1; name an address others can reach with --advertise, or run an agent over there`;
    throw new BerthError("bad-config", message, { who: "--engine" });
  }
  return targets.map((target) => {
    const isHere = !isRemote(target);
    return {
      label: target.label,
      engine: createEngine(target, limits),
      readSite: siteReader(target, resolver[0]),
      isHere,
    };
  });
}

function siteReader(target: EngineTarget, resolver: string): (() => Promise<SiteAddresses>) | undefined {
  const { advertise } = target;
  if (advertise.length > 0)
    return isRemote(target) ? async () => siteAt(advertise) : () => advertisedSite(advertise, resolver);
  if (target.kind === "unix" || !isRemote(target)) return undefined;
  return () => addressesOfHost(target.host);
}

function isRemote(target: EngineTarget): boolean {
  return target.kind !== "unix" && !isLoopbackHost(target.host);
}

function siteAt(addresses: readonly Address[]): SiteAddresses {
  return { addresses, local: false };
}
