import { type Name, parseName } from "../../../shared/name.ts";
import type { HostRecord } from "../../records.ts";

/*
 * What stands where in etcd, below /berth/<zone>/:
 *
 *   meta                             what revisions and serials are counted from
 *   hosts/<id>/head                  one host: its record and the list of its chunks                      on the host's lease
 *   hosts/<id>/turn                  whose turn it is, and which resolver carries its lease               on the host's lease
 *   hosts/<id>/chunk/<lease>/<hash>  some of its bindings, 64 KiB at most; counts for nothing unless the head lists it  on <lease>
 *   labels/<label>                   the id of the host that was granted it                               on the host's lease
 *   holds/<name>                     whom a name belongs to; claimed before the bindings that need it
 *   tokens/<id>                      created tokens
 *   mark                             written with every head and after keys went: keeps the revision of what no longer stands here
 *
 * The turn is apart from the head, because nothing anybody is answered follows from it: revision and serial count heads and holds.
 *
 * A chunk's key has its lease in it, because two resolvers that put the same host at the same moment each have a lease of their own, and
 * the one that comes too late must not move the other's chunks onto a lease that nobody renews.
 *
 * etcd's defaults allow 128 operations in a transaction and 1.5 MiB in a request; both are kept to with room to spare.
 */

/** Operations of one transaction, so that comparisons, puts and the reads of the failed branch each stay below etcd's 128. */
export const batchSize = 100;

/** A host as etcd keeps it. Every resolver makes the same record of it. */
export interface Head {
  /** All but what a resolver derives by itself. */
  host: Omit<HostRecord, "grantsRevision" | "epoch">;
  /** Hashes of its chunks. */
  chunks: string[];
  /** etcd's lease, as text: 64 bits. */
  leaseId: string;
}

export interface HostTurn {
  /** Of the last request that wrote anything. */
  epoch: number;
  sequence: number;
  /** The resolver that renews the host's lease, and so notices first when it ends. */
  carrier: string;
}

/** Written once in the life of an etcd. What is shown is these plus etcd's revision: the same everywhere, growing with every change and lapse. */
export interface Meta {
  /** By chance: tells this etcd from one that was emptied and filled again. */
  life: string;
  serialBase: number;
  revisionBase: number;
}

export interface Keys {
  prefix: string;
  /** What all hosts' keys begin with. */
  hosts: string;
  meta: string;
  mark: string;
  head(hostId: string): string;
  turn(hostId: string): string;
  chunk(hostId: string, leaseId: string, hash: string): string;
  hostPrefix(hostId: string): string;
  label(label: string): string;
  hold(name: Name): string;
  token(id: string): string;
}

export function keysFor(zone: Name, root = "/berth"): Keys {
  const prefix = `${root}/${zone}/`;
  return {
    prefix,
    hosts: `${prefix}hosts/`,
    meta: `${prefix}meta`,
    mark: `${prefix}mark`,
    head: (hostId) => `${prefix}hosts/${hostId}/head`,
    turn: (hostId) => `${prefix}hosts/${hostId}/turn`,
    chunk: (hostId, leaseId, hash) => `${prefix}hosts/${hostId}/chunk/${leaseId}/${hash}`,
    hostPrefix: (hostId) => `${prefix}hosts/${hostId}/`,
    label: (label) => `${prefix}labels/${label}`,
    hold: (name) => `${prefix}holds/${name}`,
    token: (id) => `${prefix}tokens/${id}`,
  };
}

/** What a key below the prefix stands for. */
export type Place =
  | { kind: "meta" | "mark" }
  | { kind: "head" | "turn"; hostId: string }
  | { kind: "chunk"; hostId: string; leaseId: string; hash: string }
  | { kind: "label"; label: string }
  | { kind: "hold"; name: Name }
  | { kind: "token"; id: string };

/** Undefined for a key that a later berth may have put there. Throws for a hold on what is no name. */
export function placeOf(keys: Keys, key: string): Place | undefined {
  const [room, first = "", second = "", leaseId = "", hash = ""] = key.slice(keys.prefix.length).split("/");
  switch (room) {
    case "meta":
    case "mark":
      return { kind: room };
    case "hosts":
      if (second === "head" || second === "turn") return { kind: second, hostId: first };
      return second === "chunk" ? { kind: "chunk", hostId: first, leaseId, hash } : undefined;
    case "labels":
      return { kind: "label", label: first };
    case "holds":
      return { kind: "hold", name: parseName(first) };
    case "tokens":
      return { kind: "token", id: first };
    default:
      return undefined;
  }
}
