import type { ContainerFacts } from "../engine/facts.ts";
import type { PlacedContainer } from "./input.ts";
import { sharesNetwork } from "./port-plan.ts";

/** Engines let one container join another that has joined a third; more is no set-up a person made. */
const mostSteps = 4;

/** Finds the running container whose network another one of the same engine uses; undefined where there is none, or it is its own. */
export function networkOwners(
  containers: readonly PlacedContainer[],
): (placed: PlacedContainer) => ContainerFacts | undefined {
  let byId: Map<string, ContainerFacts> | undefined;
  // Most hosts have no such container, so the index is made when the first one asks.
  const find = (engine: string, reference: string): ContainerFacts | undefined => {
    byId ??= indexOf(containers);
    return byId.get(`${engine} ${reference}`);
  };
  return ({ container, engine }) => {
    let at: ContainerFacts | undefined = container;
    for (let step = 0; step < mostSteps && at !== undefined && sharesNetwork(at); step++)
      at = find(engine, at.networkMode.slice("container:".length));
    return at === container || at === undefined || sharesNetwork(at) ? undefined : at;
  };
}

/** By id, which is what engines write down, and by name, which is what people write. */
function indexOf(containers: readonly PlacedContainer[]): Map<string, ContainerFacts> {
  const running = containers.filter(({ container }) => container.running);
  const byName = running.map(({ container, engine }) => [`${engine} ${container.name}`, container] as const);
  const byId = running.map(({ container, engine }) => [`${engine} ${container.id}`, container] as const);
  return new Map([...byName, ...byId]);
}
