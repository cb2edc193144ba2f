import type { Binding, Declared, Delta } from "../../shared/binding.ts";
import type { Name } from "../../shared/name.ts";
import { bindingText } from "../binding-text.ts";

/** What a delta push carries of the set itself. */
export type Difference = Pick<Delta, "declared" | "changed" | "gone">;

/** Below this many bindings a whole set is a small request too, and nothing can go wrong with it. */
const smallSet = 200;

/**
 * What to push after `held` in the place of the whole set `wanted`; undefined when the whole set is as good: it is small, or a quarter of
 * the names or more are others.
 */
export function deltaWorthPushing(held: Declared, wanted: Declared): Difference | undefined {
  if (held.bindings.length < smallSet) return undefined;
  const delta = deltaBetween(held, wanted);
  const touched = delta.gone.length + new Set(delta.changed.map(({ name }) => name)).size;
  const names = new Set(held.bindings.map(({ name }) => name)).size;
  return touched * 4 < names ? delta : undefined;
}

/**
 * The names whose bindings are not the same in `wanted`, with all they have there, and those it has no more:
 *
 *   held     wanted      delta
 *   a: 1     a: 1        -
 *   b: 1     b: 1, 2     changed: b 1, b 2
 *   c: 1     -           gone: c
 *   -        d: 1        changed: d 1
 */
export function deltaBetween(held: Declared, wanted: Declared): Difference {
  const { bindings, ...declared } = wanted;
  const before = bindingsByName(held.bindings);
  const after = bindingsByName(bindings);
  const changed = [...after].flatMap(([name, own]) => (isSame(before.get(name), own) ? [] : own));
  const gone = [...before.keys()].filter((name) => !after.has(name));
  return { declared, changed, gone };
}

function bindingsByName(bindings: readonly Binding[]): Map<Name, Binding[]> {
  return Map.groupBy(bindings, ({ name }) => name);
}

function isSame(before: readonly Binding[] | undefined, after: readonly Binding[]): boolean {
  if (before?.length !== after.length) return false;
  const text = (bindings: readonly Binding[]) => bindings.map(bindingText).toSorted().join();
  return before.every((binding, index) => binding === after[index]) || text(before) === text(after);
}
