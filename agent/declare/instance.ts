import type { ContainerFacts } from "../engine/facts.ts";

/** One run of the container, as bindings name it. */
export function instanceOf({ id, startedAt }: Pick<ContainerFacts, "id" | "startedAt">): string {
  return `${id.slice(0, 12)}@${startedAt}`.slice(0, 160);
}
