import { isConnectable } from "../shared/address.ts";
import type { Binding, Declared, Delta } from "../shared/binding.ts";
import type { Name } from "../shared/name.ts";
import { asDeclared, type HostLabels } from "./own-names.ts";
import type { Claim } from "./records.ts";

/** As pushBodySchema has it: a set that no push could bring comes by no delta either. */
const maxBindings = 20_000;

/**
 * The whole set a host declares after a delta, from what it declared before. Undefined when no host may declare such a set. Bindings the
 * delta left alone are the very objects of `known`, unless they stand under another label than the host gave them.
 */
export function declaredAfter(
  delta: Delta,
  known: Claim[],
  labels: HostLabels,
  zone: Name,
): Declared | undefined {
  const replaced = new Set([...delta.changed.map(({ name }) => name), ...delta.gone]);
  const before = known.flatMap(({ bindings }) =>
    bindings.map((binding) => asDeclared(binding, labels, zone)),
  );
  const bindings = [...before.filter(({ name }) => !replaced.has(name)), ...delta.changed];
  return isPossible(delta.declared.addresses, bindings) ? { ...delta.declared, bindings } : undefined;
}

/** What declaredSchema asks of a whole set beyond the form of its parts. */
function isPossible(addresses: Declared["addresses"], bindings: Binding[]): boolean {
  const own = new Set<string>(addresses);
  return (
    bindings.length <= maxBindings &&
    addresses.every(isConnectable) &&
    bindings.every((binding) => binding.addresses.every((address) => own.has(address)))
  );
}
