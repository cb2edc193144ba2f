import type { Binding } from "../shared/binding.ts";
import { labelsOf, type Name, nameBelow, parentOf } from "../shared/name.ts";
import { hostsApex } from "../shared/reserved.ts";

/** What a host calls itself, and what it is called. */
export interface HostLabels {
  declaredLabel: string;
  hostLabel: string;
}

/** `<container>.<declared label>.host.<zone>` becomes `<container>.<granted label>.host.<zone>`; every other binding stays as it is. */
export function asGranted(binding: Binding, labels: HostLabels, zone: Name): Binding {
  return moved(binding, labels.declaredLabel, labels.hostLabel, zone);
}

/** The way back: what the host declared. */
export function asDeclared(binding: Binding, labels: HostLabels, zone: Name): Binding {
  return moved(binding, labels.hostLabel, labels.declaredLabel, zone);
}

function moved(binding: Binding, from: string, to: string, zone: Name): Binding {
  if (binding.rule !== "host" || from === to) return binding;
  const apex = hostsApex(zone);
  if (parentOf(binding.name) !== nameBelow(from, apex)) return binding;
  const container = labelsOf(binding.name)[0] ?? "";
  return { ...binding, name: nameBelow(container, nameBelow(to, apex)) };
}
