import { type Address, parseAddress } from "../../../shared/address.ts";
import type { Binding, Declared, PushReply } from "../../../shared/binding.ts";
import { digestOf } from "../../../shared/digest.ts";
import { RRType } from "../../../shared/dns/constants.ts";
import type { Rdata } from "../../../shared/dns/message.ts";
import { nameBelow, parseName } from "../../../shared/name.ts";
import type { BindingStore, TurnOutcome } from "../../store.ts";
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
  epoch: number;
  sequence: number;
  lease: number;
  digest: string;
}

/** A container host as its agent speaks for it: counts its sequence, remembers the digest it pushed last. */
export class TestHost {
  readonly hostId: string;
  private readonly said: Omit<Declared, "bindings">;
  private turn = { epoch: 1, sequence: 0, lease: 15, digest: "0".repeat(64) };

  constructor(letter: string, hostLabel: string, addresses = ["10.0.0.5"]) {
    this.hostId = letter.repeat(52);
    this.said = { hostLabel, addresses: addresses.map(ip), local: false, problems: [] };
  }

  async push(
    store: BindingStore,
    bindings: Binding[],
    turn: Partial<TurnFields> = {},
    said: Partial<Declared> = {},
  ): Promise<TurnOutcome> {
    const declared = { ...this.said, ...said, bindings };
    this.take({ digest: await digestOf(declared), ...turn });
    return store.push(this.hostId, { ...this.turn, declared });
  }

  async renew(store: BindingStore, turn: Partial<TurnFields> = {}): Promise<TurnOutcome> {
    this.take(turn);
    return store.renew(this.hostId, { ...this.turn });
  }

  private take(turn: Partial<TurnFields>): void {
    this.turn = { ...this.turn, sequence: this.turn.sequence + 1, ...turn };
  }
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
    default:
      return rdata.address;
  }
}
