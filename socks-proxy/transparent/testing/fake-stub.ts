import type { Destination } from "../../../client/answers/destination.ts";
import type { Resolution } from "../../../client/answers/resolution.ts";
import type { Answer } from "../../../client/answers/stub.ts";
import type { NamePorts, StubQuestion, StubResolver, StubStatus } from "../../../client/stub-resolver.ts";
import type { Address } from "../../../shared/address.ts";
import { Rcode, RRType } from "../../../shared/dns/constants.ts";
import type { Protocol } from "../../../shared/dns/endpoints.ts";
import type { RR } from "../../../shared/dns/message.ts";
import { isInZone, type Name, parseName } from "../../../shared/name.ts";

/** A service port of a name, and where it leads. */
export interface FakeService {
  protocol: Protocol;
  port: number;
  to: number;
}

export const testZone = parseName("berth.internal");
export const testSoa: RR = {
  name: testZone,
  ttl: 5,
  rdata: {
    type: RRType.SOA,
    soa: {
      mname: parseName("ns.berth.internal"),
      rname: parseName("hostmaster.berth.internal"),
      serial: 7,
      refresh: 3600,
      retry: 600,
      expire: 86_400,
      minimum: 1,
    },
  },
};

/** A stub resolver that knows what a test tells it; every endpoint is on this machine's 127.0.0.1. */
export class FakeStub implements StubResolver {
  /** By display name. */
  readonly services = new Map<string, FakeService[]>();
  readonly records: RR[] = [testSoa];
  feed: StubStatus["feed"] = "following";
  /** Set, nothing is answered. */
  isUnreachable = false;
  readonly portQuestions: Name[] = [];
  readonly #listeners = new Set<(names: ReadonlySet<Name> | "all") => void>();

  /** Changes what `name` has, without a word. */
  set(name: string, ...services: FakeService[]): void {
    if (services.length === 0) this.services.delete(name);
    else this.services.set(name, services);
  }

  /** Says that something of `name` has changed. */
  tell(name: string): void {
    for (const listener of this.#listeners) listener(new Set([parseName(name)]));
  }

  zones(): readonly Name[] {
    return [testZone];
  }

  zoneOf(text: string): Name | undefined {
    const name = `${text.toLowerCase().replace(/\.+$/, "")}.` as Name;
    return isInZone(name, testZone) ? testZone : undefined;
  }

  async zoneOnceKnown(text: string): Promise<Name | undefined> {
    return this.zoneOf(text);
  }

  async resolve(destination: Destination, question: StubQuestion): Promise<Resolution> {
    return (
      this.resolveCached(destination, question.protocol) ?? { kind: "no-answer", reason: "nobody is there" }
    );
  }

  resolveCached(destination: Destination, protocol: Protocol = "tcp"): Resolution | undefined {
    if (this.isUnreachable || destination.kind !== "name") return undefined;
    const services = this.services.get(destination.name);
    if (services === undefined) return { kind: "not-found", reason: "no such name" };
    const found = services.filter((one) => one.port === destination.port && one.protocol === protocol);
    if (found.length === 0)
      return { kind: "port-not-published", published: services.map(({ port }) => port) };
    const addresses = ["127.0.0.1" as Address];
    const endpoints = found.map(({ to }) => ({ addresses, port: to, priority: 0, weight: 0 }));
    return { kind: "endpoints", endpoints, inZone: true };
  }

  async portsOf(name: Name): Promise<NamePorts> {
    this.portQuestions.push(name);
    // As over a network: never at once.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.isUnreachable) return noAnswer;
    const services = this.services.get(name.slice(0, -1));
    if (services !== undefined) {
      return { kind: "ports", ports: services.map(({ protocol, port }) => ({ protocol, port })) };
    }
    return { kind: "none", answer: undefined };
  }

  async ask(name: Name, type: number): Promise<Answer> {
    if (this.isUnreachable) return noAnswer;
    const here = this.records.filter((record) => record.name === name);
    const answer = here.filter(({ rdata }) => rdata.type === type);
    const exists = [...this.records.map((record) => record.name), ...this.#owners()].some((owner) =>
      isInZone(owner, name),
    );
    const rcode = exists ? Rcode.NoError : Rcode.NXDomain;
    const authority = answer.length === 0 ? [testSoa] : [];
    const response = { rcode, truncated: false, answer, authority, additional: [] };
    return exists ? { kind: "exists", response } : { kind: "nxdomain", response };
  }

  hasAnsweredWithin(): boolean {
    return true;
  }

  onChange(listener: (names: ReadonlySet<Name> | "all") => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  status(): StubStatus {
    const counts = { cached: 0, hits: 0, misses: 0, stale: 0 };
    return { zones: this.zones(), resolvers: [], feed: this.feed, ...counts };
  }

  async close(): Promise<void> {}

  #owners(): Name[] {
    return [...this.services.keys()].map((name) => parseName(name));
  }
}

const noAnswer = { kind: "failed", failure: { kind: "no-answer", reason: "nobody is there" } } as const;
