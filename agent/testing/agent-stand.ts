import type { Address } from "../../shared/address.ts";
import { defaultRules } from "../declare/default-rules.ts";
import type { DeclareRules } from "../declare/input.ts";
import type { WatchedEngine } from "../engine-loop.ts";
import { CheckBook, type Probe } from "../health/check-book.ts";
import { Reconciler } from "../reconcile.ts";
import { RelayBook } from "../relay/relay-book.ts";
import type { SiteAddresses } from "../site.ts";
import { zone } from "./builders.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeEngine } from "./fake-engine.ts";
import { FakeLinks } from "./fake-links.ts";
import { FakeResolver } from "./fake-resolver.ts";
import { FakeServices } from "./fake-services.ts";
import { RecordedLog } from "./recorded-log.ts";
import { hostId, signer } from "./test-host.ts";

/** An agent's loops among engines, files of services and a resolver that do what a test tells them; relays alone are real sockets. */
export class AgentStand {
  readonly clock = new FakeClock();
  readonly engine = new FakeEngine();
  readonly services = new FakeServices();
  readonly resolver = new FakeResolver(() => this.clock.now());
  readonly links = new FakeLinks(this.resolver);
  readonly log = new RecordedLog();
  /** The loops that were heard of. */
  readonly progress = new Set<string>();
  engines: WatchedEngine[] = [{ label: "docker", engine: this.engine, readSite: undefined, isHere: true }];
  rules: DeclareRules = defaultRules({ zone, hostLabel: "alpha" });
  relayPorts = { first: 20_000, last: 20_999 };
  /** What the checks find wrong; undefined: nothing. */
  probe: Probe = async () => undefined;
  addresses = async (): Promise<SiteAddresses> => ({ addresses: ["10.0.0.5" as Address], local: false });
  #reconciler: Reconciler | undefined;
  #running: Promise<void> | undefined;

  constructor() {
    this.links.refusal = 501;
  }

  get reconciler(): Reconciler {
    if (this.#reconciler === undefined) throw new Error("start the stand first");
    return this.#reconciler;
  }

  start(): void {
    const { clock, log, resolver } = this;
    const store = { load: async () => [], save: async () => undefined };
    const relays = { range: this.relayPorts, store, log, clock, wallNow: () => 0 };
    this.#reconciler = new Reconciler({
      engines: this.engines,
      services: this.services,
      rules: this.rules,
      openRelays: (onChange) => new RelayBook({ ...relays, onChange }),
      openChecks: (onChange) =>
        new CheckBook({ clock, random: () => 1, onChange, probe: (...asked) => this.probe(...asked) }),
      onProgress: (loop) => void this.progress.add(loop),
      resolver: {
        hostId,
        signer,
        lease: 15,
        urls: ["https://resolver.example:8053"],
        fetch: (input, init) => resolver.fetch(input, init),
        openLink: this.links.open,
        tokenFile: "/etc/berth/agent.token",
        readToken: async () => "secret",
        wallTime: () => 1_800_000_000_000,
      },
      readAddresses: () => this.addresses(),
      engineGraceMs: 60_000,
      resyncMs: 30_000,
      ...{ clock, log, random: () => 1 },
    });
    this.#running = this.#reconciler.run();
  }

  async end(): Promise<void> {
    await this.#reconciler?.close();
    await this.#running;
  }

  /** Of the last push. */
  get declared() {
    return this.resolver.requests.filter(({ kind }) => kind === "push").at(-1)?.declared;
  }
}
