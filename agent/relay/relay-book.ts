import { formatEndpoint } from "../../shared/address.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Clock } from "../clock.ts";
import type { RelayState, WantedRelay } from "../declare/input.ts";
import { Outage } from "../outage.ts";
import { descriptorsForRelays } from "./descriptor-limit.ts";
import { type FinishingRelay, FinishingRelays } from "./finishing-relays.ts";
import { noTraffic, type OpenRelay, type RelayCounters, type RelayPortStore } from "./open-relay.ts";
import { RelayBudget } from "./relay-budget.ts";
import { type PortRange, RelayPorts } from "./relay-ports.ts";
import { openTcpRelay } from "./tcp-relay.ts";
import { openUdpRelay } from "./udp-relay.ts";

export interface RelayBookOptions {
  /** The ports relays may listen at. */
  range: PortRange;
  store: RelayPortStore;
  /** How many descriptors all relays may take together; a part of what the process may open unless told. */
  descriptors?: number;
  /** A relay has opened or failed. Never called from within `want`. */
  onChange: () => void;
  log: Log;
  clock: Clock;
  /** Milliseconds since 1970: what is stored has to mean something after a reboot. */
  wallNow: () => number;
}

interface Entry {
  /** Its key and its listeners are those it was made for; target, run and its container's name change. */
  wanted: WantedRelay;
  relay: OpenRelay | undefined;
  state: RelayState | undefined;
  counters: RelayCounters;
}

type Opened = { state: RelayState; relay: OpenRelay | undefined };

const retryMs = 10_000;

/** The agent's relays: keeps the wanted ones open, each at the same port for as long as possible. */
export class RelayBook {
  readonly #options: RelayBookOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #finishing = new FinishingRelays();
  readonly #unsaved: Outage;
  readonly #budget: RelayBudget;
  #ports: RelayPorts | undefined;
  #opening: Promise<void> | undefined;
  #saving: Promise<void> | undefined;
  #isSaved = true;
  #cancelRetry = (): void => {};
  #isClosed = false;

  constructor(options: RelayBookOptions) {
    this.#options = options;
    this.#budget = new RelayBudget(options.descriptors ?? descriptorsForRelays(), options.log);
    this.#unsaved = new Outage(options.log, () => "the relays' ports are stored again");
  }

  /**
   * The whole set of relays from now on. One whose target alone has changed keeps its listeners; one that is not in it takes no new clients
   * and keeps those it has until its container's run is not among `runs`, those that have not ended.
   */
  want(relays: readonly WantedRelay[], runs: ReadonlySet<string> = new Set()): void {
    if (this.#isClosed) return;
    const wanted = new Map(relays.map((relay) => [relay.key, relay]));
    for (const [key, entry] of this.#entries) {
      const next = wanted.get(key);
      if (next !== undefined && isSameListener(entry.wanted, next)) {
        entry.wanted = next;
        entry.relay?.retarget(next.target);
        if (entry.relay !== undefined) this.#stamp(next, false);
      } else this.#drop(key, entry, runs);
    }
    this.#finishing.keepOnly(runs);
    for (const [key, relay] of wanted) if (!this.#entries.has(key)) this.#entries.set(key, newEntry(relay));
    this.#openMissing();
  }

  /** Of every wanted relay that has been opened, or could not be, by key. */
  states(): ReadonlyMap<string, RelayState> {
    const states = new Map<string, RelayState>();
    for (const [key, { state }] of this.#entries) if (state !== undefined) states.set(key, state);
    return states;
  }

  /** Whether every wanted relay is open, or could not be opened. */
  get areSettled(): boolean {
    return [...this.#entries.values()].every(({ state }) => state !== undefined);
  }

  /** What each wanted relay has carried since it was opened, by key. */
  counters(): ReadonlyMap<string, RelayCounters> {
    return new Map([...this.#entries].map(([key, { counters }]) => [key, { ...counters }]));
  }

  /** Those that take nobody new and have not ended. A container whose pause is over has one of these beside the one it is wanted with. */
  get finishing(): readonly Pick<FinishingRelay, "wanted" | "port" | "counters">[] {
    return this.#finishing.all;
  }

  /** Closes every relay, for good; resolves when all ports are free and stored. What they gave names to must be withdrawn before. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry();
    for (const [key, entry] of this.#entries) this.#drop(key, entry, new Set());
    await this.#finishing.close();
    await this.#opening;
    await this.#saving;
  }

  #drop(key: string, { wanted, relay, state, counters }: Entry, runs: ReadonlySet<string>): void {
    this.#entries.delete(key);
    if (relay === undefined || state?.kind !== "open") return;
    this.#stamp(wanted, true);
    const rest = runs.has(wanted.run) ? whatGoesOn(wanted, counters) : "";
    this.#options.log.info(`relay of ${wanted.container} closed${rest}`);
    this.#finishing.add({ wanted, port: state.port, relay, counters });
  }

  #stamp(wanted: WantedRelay, isLast: boolean): void {
    if (this.#ports?.stamp(wanted, this.#options.wallNow(), isLast)) this.#save();
  }

  #openMissing(): void {
    const isMissing = [...this.#entries.values()].some(({ state }) => state === undefined);
    if (!isMissing || this.#opening !== undefined) return;
    this.#opening = this.#openAll().finally(() => {
      this.#opening = undefined;
      // What was wanted while the last one opened.
      if (!this.#isClosed) this.#openMissing();
    });
  }

  /** One after the other: two at once would try for the same ports. */
  async #openAll(): Promise<void> {
    this.#ports ??= new RelayPorts(this.#options.range, await this.#options.store.load());
    for (const entry of this.#entries.values())
      if (entry.state === undefined) await this.#open(entry, this.#ports);
    this.#retryLater();
    if (!this.#isClosed) this.#options.onChange();
  }

  async #open(entry: Entry, ports: RelayPorts): Promise<void> {
    const { key } = entry.wanted;
    await this.#finishing.makeWayFor(entry.wanted);
    const outcome = await this.#openAtSomePort(entry, ports);
    if (this.#entries.get(key) !== entry) return outcome.relay?.close();
    entry.state = outcome.state;
    entry.relay = outcome.relay;
    if (outcome.state.kind === "failed") return;
    ports.allot(entry.wanted, outcome.state.port, this.#options.wallNow());
    this.#save();
    // It may have changed meanwhile.
    entry.relay?.retarget(entry.wanted.target);
    const { container, listen, protocol, target } = entry.wanted;
    const { port } = outcome.state;
    const places = listen.map((address) => formatEndpoint({ address, port })).join(", ");
    this.#options.log.info(
      `relay of ${container} open: ${places} (${protocol}) to ${formatEndpoint(target)}`,
    );
  }

  async #openAtSomePort({ wanted, counters }: Entry, ports: RelayPorts): Promise<Opened> {
    const { clock, log, range } = this.#options;
    const { listen, target, protocol } = wanted;
    if (listen.length === 0) return failedWith("the host advertises no address to listen at");
    const openRelay = protocol === "tcp" ? openTcpRelay : openUdpRelay;
    const options = { listen, target, counters, budget: this.#budget, clock, log };
    const offered = ports.candidates(wanted, this.#openPorts(protocol), this.#options.wallNow());
    for (const port of offered.ports) {
      try {
        const relay = await openRelay({ ...options, port });
        return { state: { kind: "open", port }, relay };
      } catch (fault) {
        // Somebody else's: the next one may be free.
        if (!hasCode(fault, "EADDRINUSE")) return failedWith(faultInWords(fault));
      }
    }
    const all = `all ports of ${range.first}-${range.last} are taken`;
    const rest = `, or were another relay's less than 24 hours ago (${offered.resting} of them), and clients may still take them for that one's`;
    return failedWith(`${all}${offered.resting > 0 ? rest : ""}; give a wider range with --relay-ports`);
  }

  #openPorts(protocol: WantedRelay["protocol"]): Set<number> {
    const ports = new Set<number>();
    for (const { wanted, state } of this.#entries.values())
      if (state?.kind === "open" && wanted.protocol === protocol) ports.add(state.port);
    return ports;
  }

  #retryLater(): void {
    this.#cancelRetry();
    if (this.#isClosed) return;
    const failed = [...this.#entries].filter(([, { state }]) => state?.kind === "failed");
    if (failed.length === 0) return;
    this.#cancelRetry = this.#options.clock.after(retryMs, () => {
      for (const [key, entry] of failed) if (this.#entries.get(key) === entry) entry.state = undefined;
      this.#openMissing();
    });
  }

  #save(): void {
    this.#isSaved = false;
    this.#saving ??= this.#saveAll().finally(() => {
      this.#saving = undefined;
    });
  }

  async #saveAll(): Promise<void> {
    while (!this.#isSaved) {
      this.#isSaved = true;
      try {
        await this.#options.store.save(this.#ports?.list() ?? []);
        this.#unsaved.end();
      } catch (fault) {
        this.#unsaved.begin("save", describeFault(fault));
      }
    }
  }
}

/** Clients of UDP are not counted: nobody can say which of them will come again. */
function whatGoesOn({ protocol }: WantedRelay, { connectionsOpen }: RelayCounters): string {
  if (protocol === "udp") return " to new clients";
  return connectionsOpen === 0 ? "" : ` to new connections; ${connectionsOpen} go on`;
}

function newEntry(wanted: WantedRelay): Entry {
  return { wanted, relay: undefined, state: undefined, counters: { ...noTraffic } };
}

function isSameListener(left: WantedRelay, right: WantedRelay): boolean {
  return left.protocol === right.protocol && left.listen.join() === right.listen.join();
}

function failedWith(fault: string): Opened {
  return { state: { kind: "failed", fault }, relay: undefined };
}

function hasCode(fault: unknown, code: string): boolean {
  return fault instanceof Error && "code" in fault && fault.code === code;
}

function faultInWords(fault: unknown): string {
  if (hasCode(fault, "EADDRNOTAVAIL"))
    return "a relay listens where connections to the advertised addresses arrive, and one of these is not an address of this machine; advertise those that others reach it at, or publish the port";
  if (hasCode(fault, "EACCES"))
    return "the agent may not listen at the ports of --relay-ports; give a range above 1023";
  return `the relay cannot listen: ${describeFault(fault)}`;
}
