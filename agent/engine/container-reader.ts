import type { Engine, EngineInspect } from "./engine.ts";
import { type ContainerFacts, factsFromInspect } from "./facts.ts";
import type { ExposedMap } from "./port-maps.ts";

/** An image's id is the hash of what it says, so an answer holds for good; containers of a host have few images. */
const maxImages = 256;

/** Reads single containers, and of their images what the engine leaves out of its description of the container. */
export class ContainerReader {
  readonly #engine: Engine;
  readonly #onStep: () => void;
  readonly #images = new Map<string, ExposedMap>();
  #inspects = 0;
  /** Podman's answers lack some of what Docker's say. */
  isPodman = false;

  /** `onStep` is called whenever an inspection has ended, well or not. */
  constructor(engine: Engine, onStep: () => void) {
    this.#engine = engine;
    this.#onStep = onStep;
  }

  get inspects(): number {
    return this.#inspects;
  }

  /** Undefined when the container is gone. Throws what the engine throws, and `engine-fault` for a description that lacks something. */
  async read(id: string): Promise<ContainerFacts | undefined> {
    this.#inspects += 1;
    const inspect = await this.#engine.inspect(id).finally(this.#onStep);
    if (inspect === undefined) return undefined;
    const { isPodman } = this;
    const image = isPodman ? imageToAsk(inspect) : undefined;
    if (image === undefined) return factsFromInspect(inspect, { isPodman });
    return factsFromInspect(inspect, { isPodman, exposedByImage: await this.#exposedBy(image) });
  }

  async #exposedBy(image: string): Promise<ExposedMap> {
    const known = this.#images.get(image);
    if (known !== undefined) return known;
    const inspect = await this.#engine.inspectImage(image);
    const exposed = objectAt(objectAt(inspect?.Config)?.ExposedPorts) ?? {};
    const oldest = this.#images.size >= maxImages ? this.#images.keys().next().value : undefined;
    if (oldest !== undefined) this.#images.delete(oldest);
    if (inspect !== undefined) this.#images.set(image, exposed);
    return exposed;
  }
}

/**
 * Its image's id, for a container in the host's network, or another container's, that is not said to expose anything itself: Podman leaves that to the image, and
 * nothing else tells its ports.
 */
function imageToAsk({ Image: image, Config, HostConfig }: EngineInspect): string | undefined {
  const mode: unknown = objectAt(HostConfig)?.NetworkMode;
  const isInOthersNetwork = typeof mode === "string" && /^(host$|container:)/.test(mode);
  const isTold = Object.keys(objectAt(objectAt(Config)?.ExposedPorts) ?? {}).length > 0;
  return isInOthersNetwork && !isTold && typeof image === "string" && /^[\w:.-]+$/.test(image)
    ? image
    : undefined;
}

function objectAt(value: unknown): ExposedMap | undefined {
  return typeof value === "object" && value !== null ? (value as ExposedMap) : undefined;
}
