import type { Problem } from "../shared/binding.ts";
import { BerthError } from "../shared/errors.ts";
import { siteAddresses } from "./addresses.ts";
import { systemClock } from "./clock.ts";
import type { AgentConfig } from "./config.ts";
import { type ExplainInput, explain } from "./declare/explain.ts";
import type { PlacedContainer } from "./declare/input.ts";
import { ContainerReader } from "./engine/container-reader.ts";
import { Inventory } from "./engine/inventory.ts";
import type { WatchedEngine } from "./engine-loop.ts";
import { rulesFrom, watchedEngines } from "./parts.ts";
import { ServiceFiles } from "./services/service-files.ts";
import type { SiteAddresses } from "./site.ts";

/**
 * Reads the engines once, and explains what an agent of this configuration would declare, without relays and checks, which only a running
 * one has. Undefined when nothing here is called `what`. Throws a BerthError when an engine cannot be read.
 */
export async function explainOnce(config: AgentConfig, what: string): Promise<string[] | undefined> {
  const site = await siteFor(config);
  const engines = watchedEngines(config);
  const { servicesDir: directory, zone } = config;
  const services = new ServiceFiles({ directory, zone, clock: systemClock });
  try {
    const read = await Promise.all(engines.map((watched) => readOnce(watched, site, engines.length > 1)));
    const { services: declared, problems: serviceProblems } = await services.read();
    const input: ExplainInput = {
      containers: read.flatMap(({ containers }) => containers),
      unread: [...read.flatMap(({ problems }) => problems), ...serviceProblems],
      services: declared,
      site,
      relays: new Map(),
      checks: new Map(),
      flapping: new Set(),
    };
    return explain(input, rulesFrom(config), what);
  } finally {
    services.close();
    for (const { engine } of engines) engine.close();
  }
}

/** What the resolver would see is not asked for: an explanation needs no resolver. */
function siteFor({ resolver: [url], advertise }: AgentConfig): Promise<SiteAddresses> {
  return siteAddresses(url, advertise, async () => {
    const message =
      "the address that the resolver sees is known to a running agent only; give addresses with --advertise";
    throw new BerthError("no-address", message, { who: "--advertise" });
  });
}

async function readOnce(
  { label, engine, readSite, isHere }: WatchedEngine,
  site: SiteAddresses,
  several: boolean,
): Promise<{ containers: PlacedContainer[]; problems: Problem[] }> {
  const about = await engine.about();
  const reader = new ContainerReader(engine, () => {});
  reader.isPodman = about.kind === "podman";
  const inventory = new Inventory(engine, reader);
  await inventory.read({ hinted: new Set(), all: true, health: true }, 0);
  const own = readSite === undefined ? site : await readSite();
  const placed = { engine: several ? label : "", site: own, isNear: isHere && !about.rootless };
  const containers = inventory.containers.map((container) => ({ container, ...placed }));
  return { containers, problems: inventory.problems };
}
