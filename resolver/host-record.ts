import type { Push } from "../shared/binding.ts";
import type { Access } from "./access.ts";
import { grantHostLabel } from "./grants.ts";
import { grantLease } from "./leases.ts";
import type { HostRecord } from "./records.ts";
import type { RegistryParts } from "./registry.ts";
import { addressParts } from "./zone/compile.ts";

/** The record of a host by what it says now, under the token it says it with; `held` is the one until now. */
export function hostRecordFrom(
  { tables, settings, now }: Pick<RegistryParts, "tables" | "settings" | "now">,
  held: HostRecord | undefined,
  hostId: string,
  push: Push,
  access: Access,
): HostRecord {
  const { tokenId, owner, scope } = access;
  const { hostLabel: declaredLabel, addresses, local, problems, bindings } = push.declared;
  const isTaken = (label: string) => (tables.hostOfLabel(label)?.hostId ?? hostId) !== hostId;
  const keepsLabel = held !== undefined && held.declaredLabel === declaredLabel;
  return {
    hostId,
    epoch: push.epoch,
    digest: push.digest,
    lease: grantLease(push.lease, settings.leaseLimits, access, now()),
    declaredLabel,
    hostLabel: keepsLabel ? held.hostLabel : grantHostLabel(declaredLabel, hostId, isTaken),
    addresses,
    parts: addressParts(addresses, bindings),
    local,
    problems,
    bindings: bindings.length,
    grantsRevision: held?.grantsRevision ?? 0,
    tokenId,
    owner,
    scope,
  };
}
