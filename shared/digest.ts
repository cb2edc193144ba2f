import type { Binding, Declared, Problem } from "./binding.ts";

/**
 * Lower-case hex SHA-256 of the declared set in its canonical form: the JSON text of fixed key order, without white space, with
 * addresses, bindings and problems sorted. Two sets with the same digest are the same set, in whatever order they were built. `textOf` gives
 * what canonicalBinding does, for a caller who keeps the texts.
 */
export async function digestOf(
  declared: Declared,
  textOf: (binding: Binding) => string = canonicalBinding,
): Promise<string> {
  const bytes = new TextEncoder().encode(canonicalText(declared, textOf));
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** The text the digest is taken of; docs/protocol.md shows it. */
export function canonicalText(
  declared: Declared,
  textOf: (binding: Binding) => string = canonicalBinding,
): string {
  return JSON.stringify({
    hostLabel: declared.hostLabel,
    addresses: declared.addresses.toSorted(),
    local: declared.local,
    bindings: declared.bindings.map((binding) => textOf(binding)).toSorted(),
    problems: declared.problems.map(canonicalProblem).toSorted(),
  });
}

/** One binding as canonical text; also what tells two stored bindings apart. */
export function canonicalBinding(binding: Binding): string {
  return JSON.stringify([
    binding.name,
    binding.protocol,
    binding.servicePort,
    binding.addresses.toSorted(),
    binding.port,
    binding.fixed,
    binding.rule,
    binding.container,
    binding.instance,
    binding.health,
    binding.priority,
    binding.weight,
    binding.http ?? null,
    ...laterFacts(binding),
  ]);
}

/** Nothing for a binding that says neither, so that a digest from before there were these facts is still the same set's. */
function laterFacts({ tls, txt = [] }: Binding): unknown[] {
  return tls === undefined && txt.length === 0 ? [] : [tls ?? false, txt.toSorted()];
}

function canonicalProblem(problem: Problem): string {
  return JSON.stringify([problem.container, problem.code, problem.message]);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
