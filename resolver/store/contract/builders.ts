import { type Address, parseAddress } from "../../../shared/address.ts";
import type { Binding, Declared, PushReply } from "../../../shared/binding.ts";
import { digestOf } from "../../../shared/digest.ts";
import { RRType } from "../../../shared/dns/constants.ts";
import type { Rdata } from "../../../shared/dns/message.ts";
import { nameBelow, parseName } from "../../../shared/name.ts";
import type { NameList } from "../../../shared/registry-views.ts";
import type { TokenScope } from "../../../shared/tokens.ts";
import { type Access, bootstrapAccess, everything } from "../../access.ts";
import type { BindingStore, TurnOutcome, WithdrawOutcome } from "../../store.ts";
import type { ZoneView } from "../../zone/zone.ts";

/** The zone every store under test answers for. */
export const zone = parseName("berth.internal");

export function ip(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`the test says ${text} is an address`);
  return address;
}

/** `owner` below the zone; "" is the zone itself. */
export function below(owner: string): string {
  return owner === "" ? zone : nameBelow(owner, zone);
}

/** A Compose service on tcp 80 with a port chosen by hand; `fields` changes what matters to the test. */
export function binding(
  owner: string,
  fields: Partial<Omit<Binding, "addresses">> & { at?: readonly string[] } = {},
): Binding {
  const { at = ["10.0.0.5"], ...rest } = fields;
  return {
    name: parseName(below(owner)),
    rule: "compose",
    protocol: "tcp",
    servicePort: 80,
    addresses: at.map(ip),
    port: 8080,
    fixed: true,
    container: owner.split(".")[0] ?? "c",
    instance: "1",
    health: "none",
    priority: 0,
    weight: 0,
    ...rest,
  };
}

export interface TurnFields {
  generation: string;
  epoch: number;
  sequence: number;
  lease: number;
  digest: string;
}

/** What changed of a host's set, by name. */
export interface Changes {
  changed?: Binding[];
  gone?: string[];
}

/** An agent's token of `owner`, bounded by `scope`. */
export function tokenOf(owner: string, scope: Partial<TokenScope> = {}, tokenId = `token-${owner}`): Access {
  return { tokenId, kind: "agent", owner, scope: { ...everything, ...scope } };
}

/**
 * A container host as its agent speaks for it: counts its sequence, remembers what it pushed last, and learns from the first refusal
 * what to sign its requests for.
 */
export class TestHost {
  readonly hostId: string;
  /** The token of its agent. */
  access: Access;
  private readonly said: Omit<Declared, "bindings">;
  private declared: Declared;
  private turn: TurnFields = { generation: "", epoch: 1, sequence: 0, lease: 15, digest: "0".repeat(64) };

  constructor(
    letter: string,
    hostLabel: string,
    addresses = ["10.0.0.5"],
    access = bootstrapAccess("agent"),
  ) {
    this.hostId = letter.repeat(52);
    this.access = access;
    this.said = { hostLabel, addresses: addresses.map(ip), local: false, problems: [] };
    this.declared = { ...this.said, bindings: [] };
  }

  async push(
    store: BindingStore,
    bindings: Binding[],
    turn: Partial<TurnFields> = {},
    said: Partial<Declared> = {},
  ): Promise<TurnOutcome> {
    const declared = { ...this.said, ...said, bindings };
    this.declared = declared;
    const digest = await digestOf(declared);
    return this.send({ digest, ...turn }, (now) => {
      return store.push(this.hostId, { ...now, declared }, this.access);
    });
  }

  /** Pushes what changed since the last push; `base` is what the host believes to be held. */
  async pushDelta(
    store: BindingStore,
    { changed = [], gone = [] }: Changes,
    turn: Partial<TurnFields & { base: string }> = {},
    said: Partial<Declared> = {},
  ): Promise<TurnOutcome> {
    const names = [...changed.map(({ name }) => name), ...gone.map((owner) => parseName(below(owner)))];
    const kept = this.declared.bindings.filter(({ name }) => !names.includes(name));
    const { bindings: _, ...about } = { ...this.declared, ...said };
    this.declared = { ...about, bindings: [...kept, ...changed] };
    const { base = this.turn.digest, ...rest } = turn;
    const digest = await digestOf(this.declared);
    const delta = { base, declared: about, changed, gone: gone.map((owner) => parseName(below(owner))) };
    return this.send({ digest, ...rest }, (now) => {
      return store.pushDelta(this.hostId, { ...now, ...delta }, this.access);
    });
  }

  async renew(store: BindingStore, turn: Partial<TurnFields> = {}): Promise<TurnOutcome> {
    return this.send(turn, (now) => store.renew(this.hostId, now, this.access));
  }

  async withdraw(store: BindingStore, turn: Partial<TurnFields> = {}): Promise<WithdrawOutcome> {
    return this.send(turn, ({ generation, epoch, sequence }) => {
      return store.withdraw(this.hostId, { generation, epoch, sequence });
    });
  }

  /** The next request of its process is for this life of the registry. */
  private async send<T extends { kind: string }>(
    turn: Partial<TurnFields>,
    request: (turn: TurnFields) => Promise<T>,
  ): Promise<T> {
    this.turn = { ...this.turn, sequence: this.turn.sequence + 1, ...turn };
    const outcome = await request(this.turn);
    if (outcome.kind !== "unknown-generation" || turn.generation !== undefined) return outcome;
    this.turn = { ...this.turn, generation: generationOf(outcome) };
    return request(this.turn);
  }
}

/** What the registry says requests have to be signed for. */
export function generationOf(outcome: object): string {
  if ("generation" in outcome && typeof outcome.generation === "string") return outcome.generation;
  throw new Error(`says no generation: ${JSON.stringify(outcome)}`);
}

/** The reply of an outcome that has to be `accepted`. */
export async function accepted(outcome: Promise<TurnOutcome>): Promise<PushReply> {
  const settled = await outcome;
  if (settled.kind !== "accepted") throw new Error(`not accepted but ${settled.kind}`);
  return settled.reply;
}

/** RDATA of one type at `owner` as text, in the store's order. */
export async function rdataAt(
  store: BindingStore,
  owner: string,
  type: keyof typeof RRType,
): Promise<string[]> {
  const view = await store.read(below(owner));
  return rrsetOf(view, type)?.rdata.map(rdataText) ?? [];
}

export async function ttlAt(
  store: BindingStore,
  owner: string,
  type: keyof typeof RRType,
): Promise<number | undefined> {
  return rrsetOf(await store.read(below(owner)), type)?.ttl;
}

/** `address:port` behind an SRV RRset, through the addresses the same read brought along; sorted. */
export async function endpointsAt(store: BindingStore, owner: string): Promise<string[]> {
  const view = await store.read(below(owner));
  const endpoints = (rrsetOf(view, "SRV")?.rdata ?? []).flatMap((rdata) => {
    if (rdata.type !== RRType.SRV) return [];
    const targets = view.additional.filter((known) => known.owner === rdata.target);
    const addresses = targets.flatMap(({ rrset }) => rrset.rdata.map(rdataText));
    return addresses.map((address) => `${address}:${rdata.port}`);
  });
  return endpoints.toSorted();
}

/** Who is refused what, and why: "web.shop held". */
export function refusedIn(reply: PushReply): string[] {
  return reply.refused.map(({ name, code }) => `${name.slice(0, -zone.length - 1)} ${code}`);
}

/** How the list of names has one of them; undefined when nobody holds it. */
export async function heldAt(
  store: BindingStore,
  owner: string,
): Promise<NameList["names"][number] | undefined> {
  return (await store.names()).names.find(({ name }) => name === below(owner));
}

export async function existsAt(store: BindingStore, owner: string): Promise<boolean> {
  return (await store.read(below(owner))).exists;
}

export async function counters(store: BindingStore): Promise<{ revision: number; serial: number }> {
  return { revision: (await store.hosts()).revision, serial: (await store.read(zone)).serial };
}

function rrsetOf(view: ZoneView, type: keyof typeof RRType) {
  return view.rrsets.find((rrset) => rrset.rdata[0]?.type === RRType[type]);
}

function rdataText(rdata: Rdata): string {
  switch (rdata.type) {
    case RRType.SRV:
      return `${rdata.priority} ${rdata.weight} ${rdata.port} ${rdata.target}`;
    case RRType.SOA:
      return `${rdata.soa.mname} ${rdata.soa.serial}`;
    case RRType.NS:
    case RRType.PTR:
      return rdata.target;
    case RRType.TXT:
      return rdata.texts.join(" ");
    default:
      return rdata.address;
  }
}
