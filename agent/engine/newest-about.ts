import type { Engine, EngineAbout } from "./engine.ts";

/**
 * What the engine is, by its newest answer. Waited for only while nothing is `known` yet: Podman thinks about it for a second or two. Later
 * it is asked again beside the first pass of the engine's new life.
 */
export async function newestAbout(
  engine: Engine,
  known: EngineAbout | undefined,
): Promise<() => EngineAbout> {
  const asking = engine.about();
  let about = known ?? (await asking);
  asking.then(
    (newer) => {
      about = newer;
    },
    () => {
      // The pass meets the same fault.
    },
  );
  return () => about;
}
