import type { Refusal } from "../shared/binding.ts";
import { displayName } from "../shared/name.ts";
import type { Claim } from "./records.ts";

/**
 * Who may answer for one name, from everything declared for it:
 *
 *   first claim      later claims of other hosts
 *   label, compose   label, compose: granted, one RRset of replicas;  container: refused
 *   container, host  refused, whatever their rule: two hosts' `postgres` are not replicas
 *
 * The first is who holds the name by now; failing that the one with the lowest `since`, then the lowest host id, so every resolver
 * settles alike. A refused claim waits, however old it is: a holder never loses its name to it. Returns the refusals by host id; claims
 * that are not in it are granted. `labelOf` names a host for people.
 */
export function settleName(claims: Claim[], labelOf: (hostId: string) => string): Map<string, Refusal> {
  const refusals = new Map<string, Refusal>();
  const ordered = claims.toSorted(
    (a, b) => waits(a) - waits(b) || a.since - b.since || (a.hostId < b.hostId ? -1 : 1),
  );
  const first = ordered[0];
  if (first === undefined) return refusals;
  for (const claim of ordered.slice(1)) {
    if (merges(first) && merges(claim)) continue;
    const message = `${displayName(claim.name)} is held by host ${labelOf(first.hostId)}; ${mendFor(first)}`;
    refusals.set(claim.hostId, { name: claim.name, code: "held", message });
  }
  return refusals;
}

/** The label a new host gets: its own, or that with as much of its host id as makes it differ from the `taken` ones. */
export function grantHostLabel(
  declared: string,
  hostId: string,
  isTaken: (label: string) => boolean,
): string {
  if (!isTaken(declared)) return declared;
  for (let length = 6; length < hostId.length; length++) {
    const label = `${declared.slice(0, 62 - length)}-${hostId.slice(0, length)}`;
    if (!isTaken(label)) return label;
  }
  return hostId;
}

function waits(claim: Claim): number {
  return claim.refusal?.code === "held" ? 1 : 0;
}

/** Only names people chose, for a service rather than for one container, mean the same thing on every host. */
function merges(claim: Claim): boolean {
  return claim.bindings.every((binding) => binding.rule === "label" || binding.rule === "compose");
}

function mendFor(holder: Claim): string {
  return merges(holder)
    ? "a plain container's name does not join it; give this container a berth.name label"
    : "give the containers a common berth.name label if they are replicas, or different names if not";
}
