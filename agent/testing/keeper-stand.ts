import type { Declared } from "../../shared/binding.ts";
import { declare } from "../declare/declare.ts";
import { LeaseKeeper, type LeaseKeeperOptions } from "../lease/lease-keeper.ts";
import { containerOf, inputOf, rulesOf, siteOf } from "./builders.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeLinks } from "./fake-links.ts";
import { FakeResolver } from "./fake-resolver.ts";
import { RecordedLog } from "./recorded-log.ts";
import { hostId, signer } from "./test-host.ts";

/** A keeper before a registry of its own, or one it shares with another keeper of the same host key. */
export class KeeperStand {
  readonly clock: FakeClock;
  readonly resolver: FakeResolver;
  readonly links: FakeLinks;
  readonly log = new RecordedLog();
  readonly keeper: LeaseKeeper;
  token = async (): Promise<string> => "secret";
  readonly #running: Promise<void>;

  constructor(given: Partial<LeaseKeeperOptions> = {}, beside?: KeeperStand) {
    this.clock = beside?.clock ?? new FakeClock();
    this.resolver = beside?.resolver ?? new FakeResolver(() => this.clock.now());
    this.links = new FakeLinks(this.resolver);
    // Most tests are about requests; those about links take this away.
    this.links.refusal = 501;
    this.keeper = new LeaseKeeper({
      hostId,
      signer,
      lease: 15,
      urls: ["https://resolver.example:8053"],
      fetch: (input, init) => this.resolver.fetch(input, init),
      openLink: this.links.open,
      tokenFile: "/etc/berth/agent.token",
      readToken: () => this.token(),
      wallTime: () => 1_800_000_000_000,
      clock: this.clock,
      random: () => 1,
      log: this.log,
      ...given,
    });
    this.#running = this.keeper.run();
  }

  async end(): Promise<void> {
    this.keeper.close();
    await this.#running;
  }

  get kinds(): string {
    return this.resolver.requests.map(({ kind }) => kind).join(" ");
  }

  get times(): number[] {
    return this.resolver.requests.map(({ at }) => at);
  }

  get turns(): string {
    return this.resolver.requests.map(({ turn }) => turn).join(" ");
  }

  /** The last label of each request's resolver, as in https://a.example. */
  get origins(): string {
    return this.resolver.requests.map(({ origin }) => new URL(origin).hostname.split(".")[0]).join(" ");
  }
}

export function declaredOf(...names: string[]): Declared {
  const { zone: _, ...site } = siteOf();
  const containers = names.map((name) => containerOf(name));
  const { bindings, problems } = declare(inputOf(containers), rulesOf());
  return { ...site, addresses: [...site.addresses], bindings, problems };
}

/** A set that is large enough for deltas: two bindings for each container. */
export function largeSet(...more: string[]): Declared {
  return declaredOf(...Array.from({ length: 120 }, (_, index) => `c${index}`), ...more);
}
