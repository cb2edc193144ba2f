import type { Binding } from "../../shared/binding.ts";

/**
 * Which of the instances behind one port of one name, on all hosts, are answered, in their order. One that has never been ready is not;
 * one that was and is not is a last resort, for while no other is: a service that answers with faults still says more than none.
 */
export function shownOf<T>(group: readonly T[], healthOf: (one: T) => Binding["health"]): T[] {
  const begun = group.filter((one) => healthOf(one) !== "starting");
  const ready = begun.filter((one) => healthOf(one) !== "unhealthy");
  return ready.length > 0 ? ready : begun;
}
