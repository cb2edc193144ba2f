import type { Name } from "../../shared/name.ts";
import type { ResolverChoice } from "../../shared/resolver-choice.ts";
import type { NamePorts, ServicePort, StubQuestion, StubResolver, StubStatus } from "../stub-resolver.ts";
import { type Destination, faultOfText, nameAsWritten, outsideEndpoints, zoneOfText } from "./destination.ts";
import { inZoneEndpoints, inZoneEndpointsAtHand, type ServicePlace } from "./in-zone.ts";
import type { OutsideNames } from "./outside-names.ts";
import { RecentNames } from "./recent-names.ts";
import type { Remembered } from "./remembered.ts";
import { plainEndpoint, type Resolution } from "./resolution.ts";
import type { Answer } from "./stub.ts";

export interface StubParts {
  zones: { current(): readonly Name[]; firstAsked(): Promise<void> | undefined };
  answers: Remembered<Answer>;
  ports: Remembered<NamePorts>;
  choice: ResolverChoice;
  feed: () => StubStatus["feed"];
  outside: OutsideNames;
  now: () => number;
  /** Milliseconds a name outside the zones waits for its address. */
  resolveTimeoutMs: number;
  close: () => Promise<void>;
}

type ChangeListener = (services: ReadonlySet<Name> | "all") => void;

/** The kind under which a name's list of ports is remembered. */
const portList = 0;

export class CachingStub implements StubResolver {
  readonly #parts: StubParts;
  readonly #listeners = new Set<ChangeListener>();
  readonly #answered = new RecentNames(10_000);
  readonly #answeredPorts = new RecentNames(10_000);

  constructor(parts: StubParts) {
    this.#parts = parts;
  }

  zones(): readonly Name[] {
    return this.#parts.zones.current();
  }

  zoneOf(text: string): Name | undefined {
    return zoneOfText(text, this.zones());
  }

  resolveCached(
    destination: Destination,
    protocol: StubQuestion["protocol"] = "tcp",
  ): Resolution | undefined {
    const { port } = destination;
    if (destination.kind === "address") return plainEndpoint([destination.address], port, false);
    const zone = this.zoneOf(destination.name);
    if (zone === undefined || faultOfText(destination.name) !== undefined) return undefined;
    const place = { text: destination.name, port, protocol, zone };
    const resolution = inZoneEndpointsAtHand(place, (name, type) => this.#parts.answers.atHand(name, type));
    if (resolution !== undefined) this.#note(place, resolution);
    return resolution;
  }

  async resolve(destination: Destination, question: StubQuestion): Promise<Resolution> {
    const { protocol = "tcp", fresh = false, signal } = question;
    const cached = fresh ? undefined : this.resolveCached(destination, protocol);
    if (cached !== undefined) return cached;
    if (destination.kind === "address") return plainEndpoint([destination.address], destination.port, false);
    const reason = faultOfText(destination.name);
    if (reason !== undefined) return { kind: "bad-name", reason };
    const zone = await this.zoneOnceKnown(destination.name);
    if (zone === undefined) return this.#resolveOutside(destination, fresh, signal);
    const place = { text: destination.name, port: destination.port, protocol, zone };
    const { answers } = this.#parts;
    const resolution = await inZoneEndpoints(place, (name, type) => answers.get(name, type, fresh, signal));
    this.#note(place, resolution);
    return resolution;
  }

  ask(name: Name, type: number, { fresh = false, signal }: StubQuestion): Promise<Answer> {
    return this.#parts.answers.get(name, type, fresh, signal);
  }

  portsOf(name: Name, { fresh = false, signal }: StubQuestion): Promise<NamePorts> {
    return this.#parts.ports.get(name, portList, fresh, signal);
  }

  hasAnsweredWithin(name: Name, ms: number, port?: ServicePort): boolean {
    const now = this.#parts.now();
    if (port === undefined) return this.#answered.wasWithin(name, ms, now);
    return this.#answeredPorts.wasWithin(portKey(name, port), ms, now);
  }

  onChange(listener: ChangeListener): () => void {
    // A listener of its own for each call, so that one given twice is heard until its second end.
    const own: ChangeListener = (services) => listener(services);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Forgets what is known of these services, then tells the listeners. */
  changed(services: ReadonlySet<Name> | "all"): void {
    this.#parts.answers.drop(services);
    this.#parts.ports.drop(services);
    for (const listener of [...this.#listeners]) listener(services);
  }

  status(): StubStatus {
    const { answers, choice, feed } = this.#parts;
    const { size: cached, counts } = answers;
    return { zones: this.zones(), resolvers: choice.states(), feed: feed(), cached, ...counts };
  }

  close(): Promise<void> {
    this.#listeners.clear();
    return this.#parts.close();
  }

  /** A name that is not in a zone so far may be in one that is only just being asked for. */
  async zoneOnceKnown(name: string): Promise<Name | undefined> {
    const zone = this.zoneOf(name);
    const asked = this.#parts.zones.firstAsked();
    if (zone !== undefined || asked === undefined) return zone;
    await asked;
    return this.zoneOf(name);
  }

  #resolveOutside(
    { name, port }: { name: string; port: number },
    fresh: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Resolution> {
    const { outside, resolveTimeoutMs } = this.#parts;
    const limit = AbortSignal.timeout(resolveTimeoutMs);
    const ended = signal === undefined ? limit : AbortSignal.any([limit, signal]);
    return outsideEndpoints(name, port, (asked) => outside.addressesOf(asked, fresh), ended);
  }

  #note(place: ServicePlace, resolution: Resolution): void {
    if (resolution.kind !== "endpoints" || resolution.staleUntil !== undefined) return;
    const [name, now] = [nameAsWritten(place.text), this.#parts.now()];
    this.#answered.note(name, now);
    this.#answeredPorts.note(portKey(name, place), now);
  }
}

function portKey(name: Name, { protocol, port }: ServicePort): string {
  return `${protocol} ${port} ${name}`;
}
