import { BerthError } from "../../shared/errors.ts";
import type { ContainerSummary, Engine, EngineInspect, Watch } from "../engine/engine.ts";
import { type InspectParts, inspectOf } from "./builders.ts";

/** An engine that does what a test tells it, faults and silences included. */
export class FakeEngine implements Engine {
  readonly where = "unix:///fake.sock";
  readonly inspected: string[] = [];
  lists = 0;
  restores = false;
  /** What the next calls meet: undefined is health. */
  listFault: Error | undefined;
  watchFault: Error | undefined;
  readonly inspectFaults = new Map<string, Error>();
  #containers = new Map<string, { inspect: EngineInspect; version: number }>();
  readonly #vanished = new Set<string>();
  #hint: ((id: string | undefined) => void) | undefined;
  #broken: ((fault: Error) => void) | undefined;
  #gate: Promise<void> | undefined;

  /** Without an event: use `event` for that. */
  put(name: string, parts: InspectParts = {}): string {
    const inspect = inspectOf(name, parts);
    const id = String(inspect.Id);
    this.#containers.set(id, { inspect, version: (this.#containers.get(id)?.version ?? 0) + 1 });
    return id;
  }

  /** Changes what inspecting says, and nothing in the list. */
  putUnlisted(name: string, parts: InspectParts = {}): string {
    const inspect = inspectOf(name, parts);
    const id = String(inspect.Id);
    this.#containers.set(id, { inspect, version: this.#containers.get(id)?.version ?? 0 });
    return id;
  }

  remove(id: string): void {
    this.#containers.delete(id);
  }

  /** Listed, and gone when it is inspected. */
  vanish(id: string): void {
    this.#vanished.add(id);
  }

  event(id?: string): void {
    this.#hint?.(id);
  }

  get isWatched(): boolean {
    return this.#hint !== undefined;
  }

  /** The engine's process ends. */
  die(): void {
    const broken = this.#broken;
    this.watchFault = this.listFault = gone();
    this.#hint = this.#broken = undefined;
    broken?.(gone());
  }

  revive(): void {
    this.watchFault = this.listFault = undefined;
  }

  /** Lists hang until the returned function is called. */
  holdLists(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return () => {
      this.#gate = undefined;
      resolve();
    };
  }

  async list(): Promise<ContainerSummary[]> {
    this.lists += 1;
    await this.#gate;
    if (this.listFault !== undefined) throw this.listFault;
    return [...this.#containers].map(([id, { inspect, version }]) => ({
      id,
      name: String(inspect.Name).slice(1),
      fingerprint: String(version),
    }));
  }

  async inspect(id: string): Promise<EngineInspect | undefined> {
    this.inspected.push(id);
    const fault = this.inspectFaults.get(id);
    if (fault !== undefined) throw fault;
    return this.#vanished.has(id) ? undefined : this.#containers.get(id)?.inspect;
  }

  async watchEvents(
    onHint: (id: string | undefined) => void,
    onBroken: (fault: Error) => void,
  ): Promise<Watch> {
    if (this.watchFault !== undefined) throw this.watchFault;
    this.#hint = onHint;
    this.#broken = onBroken;
    return {
      close: () => {
        this.#hint = this.#broken = undefined;
      },
    };
  }

  async liveRestore(): Promise<boolean> {
    return this.restores;
  }

  close(): void {}
}

export function gone(): BerthError {
  return new BerthError("engine-unreachable", "no engine", { retryable: true, facts: { gone: true } });
}

export function silent(): BerthError {
  return new BerthError("engine-unreachable", "no answer within 10 s", {
    retryable: true,
    facts: { gone: false },
  });
}
