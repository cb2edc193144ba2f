import type { NamePorts, ServicePort, StubResolver } from "../../client/stub-resolver.ts";
import type { Address } from "../../shared/address.ts";
import type { Name } from "../../shared/name.ts";
import type { Clock } from "./clock.ts";
import { OpenPorts, type PortOpener } from "./open-ports.ts";
import type { Problem } from "./port-fault.ts";
import { unseenMs } from "./refresh.ts";

/** What a question for the address of a service name finds. */
export type Found =
  | { kind: "served"; ipv4: Address; ipv6: Address | undefined }
  | Exclude<NamePorts, { kind: "ports" }>
  /** Every address of the range is taken. */
  | { kind: "exhausted" };

export interface ServedNamesOptions {
  portsOf: StubResolver["portsOf"];
  addresses: NameAddresses;
  open: PortOpener;
  clock: Clock;
  /** Milliseconds that a question for a name may take. */
  resolveMs: number;
  /** Milliseconds for which a name that has just lost all its ports still counts as being restarted. */
  patienceMs: number;
  /** Listeners of all names together. */
  mostPorts: number;
  /** A fault of this program's own, which must end neither it nor the other names. */
  onFault: (fault: unknown) => void;
}

/** Where names get their addresses. */
export interface NameAddresses {
  /** Stored before it resolves; undefined when there is none left. */
  allot(name: Name): Promise<{ ipv4: Address; ipv6: Address | undefined } | undefined>;
  touch(name: Name): void;
  isHeld(name: Name): boolean;
}

/** A port that could not be opened is tried again when its name is asked for, but not oftener. */
const retryMs = 2_000;
/** A name nobody asked for this long makes room when listeners run short. */
export const quietMs = 5 * 60_000;
/** Of all listeners: a name that has every port there is must not take them from the others. */
const shareOfOne = 0.25;
/** What a person reads; a name with every port there is would list them all. */
const mostListed = 100;
/** A name with ports so recently is being restarted when it has none: one in use is looked at oftener, however slow the looks are. */
export const recentMs = 2 * unseenMs;

interface Served {
  name: Name;
  addresses: { ipv4: Address; ipv6: Address | undefined };
  ports: OpenPorts;
  askedAt: number;
  /** When it was last known to have ports; and when it was first seen without, if it still is. */
  seenAt: number;
  goneAt: number | undefined;
}

/** Names that have an address, and the listeners there. A name's ports are open before its address is given to anybody. */
export class ServedNames {
  readonly #options: ServedNamesOptions;
  /** The one that was asked for least recently comes first. */
  readonly #served = new Map<Name, Served>();
  readonly #byAddress = new Map<Address, Served>();
  readonly #looking = new Map<Name, Promise<Found>>();

  constructor(options: ServedNamesOptions) {
    this.#options = options;
  }

  /** Answers a question for `name`; any number of them at once are one. */
  find(name: Name): Promise<Found> {
    const served = this.#served.get(name);
    if (served !== undefined) this.#noteUse(served);
    return this.refresh(name);
  }

  /** A client has connected: the name is in use, though nobody asked for it. */
  noteConnection(name: Name): void {
    const served = this.#served.get(name);
    if (served === undefined) return;
    this.#noteUse(served);
    this.#options.addresses.touch(name);
  }

  /** Makes the ports of `name` what the resolver says. Never rejects for what it or the system does. */
  refresh(name: Name): Promise<Found> {
    const looking = this.#looking.get(name);
    if (looking !== undefined) return looking;
    const found = this.#look(name)
      .catch((fault: unknown): Found => {
        this.#options.onFault(fault);
        return { kind: "failed", failure: { kind: "no-answer", reason: "a fault of the proxy's own" } };
      })
      .finally(() => this.#looking.delete(name));
    this.#looking.set(name, found);
    return found;
  }

  /** The same, asked from now on: a look that is under way may have been told what was before. */
  async lookAgain(name: Name): Promise<void> {
    await this.#looking.get(name);
    await this.refresh(name);
  }

  /**
   * Hears that what `name` has changed just now: until then it had what was seen last, however long ago. Says whether it is served at all.
   */
  noteChange(name: Name): boolean {
    const served = this.#served.get(name);
    if (served !== undefined) served.seenAt = this.#options.clock.now();
    return served !== undefined;
  }

  /** Names asked for, or connected to, within the last `ms`. */
  usedWithin(ms: number): Name[] {
    const since = this.#options.clock.now() - ms;
    return [...this.#served.values()].filter(({ askedAt }) => askedAt >= since).map(({ name }) => name);
  }

  /** Closes what belongs to names whose address may be given away. */
  sweep(): void {
    for (const served of [...this.#served.values()]) {
      if (!this.#options.addresses.isHeld(served.name)) this.#forget(served);
    }
  }

  /** Lists the first problems, and counts those it does not list. */
  status(): { names: number; listeners: number; problems: Problem[]; moreProblems: number } {
    const all = [...this.#served.values()];
    const problems = all.flatMap(({ ports }) => ports.problems());
    return {
      names: all.filter(({ ports }) => ports.openCount > 0).length,
      listeners: this.#listeners(),
      problems: problems.slice(0, mostListed),
      moreProblems: Math.max(0, problems.length - mostListed),
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#looking.values()]);
    for (const served of [...this.#served.values()]) this.#forget(served);
  }

  async #look(name: Name): Promise<Found> {
    const { portsOf, resolveMs, addresses } = this.#options;
    const found = await portsOf(name, { signal: AbortSignal.timeout(resolveMs) });
    // What listens stays: the proxy may be able to connect still, and knows to wait.
    if (found.kind === "failed") return found;
    if (found.kind === "none") return this.#withoutPorts(name, found);
    const allotted = await addresses.allot(name);
    if (allotted === undefined) return { kind: "exhausted" };
    const served = this.#servedAt(name, allotted);
    served.seenAt = this.#options.clock.now();
    served.goneAt = undefined;
    await this.#openPorts(served, found.ports);
    return { kind: "served", ...allotted };
  }

  #servedAt(name: Name, addresses: Served["addresses"]): Served {
    const known = this.#served.get(name);
    if (known?.addresses.ipv4 === addresses.ipv4) {
      known.addresses = addresses;
      return known;
    }
    if (known !== undefined) this.#forget(known);
    const former = this.#byAddress.get(addresses.ipv4);
    if (former !== undefined) this.#forget(former);
    const now = this.#options.clock.now();
    const ports = new OpenPorts(name, this.#options.open, this.#options.clock, retryMs);
    const served = { name, addresses, ports, askedAt: now, seenAt: now, goneAt: undefined };
    this.#served.set(name, served);
    this.#byAddress.set(addresses.ipv4, served);
    return served;
  }

  async #openPorts(served: Served, ports: readonly ServicePort[]): Promise<void> {
    const { ipv4, ipv6 } = served.addresses;
    const at = ipv6 === undefined ? [ipv4] : [ipv4, ipv6];
    const wanted = ports.flatMap(({ protocol, port }) => at.map((address) => ({ address, protocol, port })));
    const share = Math.ceil(this.#options.mostPorts * shareOfOne) - served.ports.openCount;
    this.#makeRoom(Math.min(wanted.length - served.ports.openCount, share), served);
    const room = Math.min(this.#options.mostPorts - this.#listeners(), share);
    await served.ports.become(wanted, Math.max(room, 0));
  }

  /** Between the end of a container and its successor's start, a client that comes is let in, and the connection waits. */
  #withoutPorts(name: Name, found: Extract<NamePorts, { kind: "none" }>): Found {
    const served = this.#served.get(name);
    if (served === undefined) return found;
    const now = this.#options.clock.now();
    if (served.goneAt === undefined) {
      served.goneAt = now - served.seenAt <= recentMs ? now : Number.NEGATIVE_INFINITY;
      this.#closeWhenGone(served);
    }
    return served.ports.openCount > 0 ? { kind: "served", ...served.addresses } : found;
  }

  #closeWhenGone(served: Served): void {
    if (served.goneAt === undefined || this.#served.get(served.name) !== served) return;
    const { clock, patienceMs } = this.#options;
    const left = served.goneAt + patienceMs - clock.now();
    if (left > 0) clock.after(left, () => this.#closeWhenGone(served));
    else served.ports.closeAll();
  }

  #makeRoom(missing: number, except: Served): void {
    const { mostPorts, clock } = this.#options;
    for (const served of [...this.#served.values()]) {
      if (this.#listeners() + missing <= mostPorts) return;
      if (served === except) continue;
      if (clock.now() - served.askedAt < quietMs) return;
      this.#forget(served);
    }
  }

  #listeners(): number {
    let count = 0;
    for (const { ports } of this.#served.values()) count += ports.openCount;
    return count;
  }

  #noteUse(served: Served): void {
    served.askedAt = this.#options.clock.now();
    this.#served.delete(served.name);
    this.#served.set(served.name, served);
  }

  #forget(served: Served): void {
    served.ports.closeAll();
    this.#served.delete(served.name);
    if (this.#byAddress.get(served.addresses.ipv4) === served) {
      this.#byAddress.delete(served.addresses.ipv4);
    }
  }
}
