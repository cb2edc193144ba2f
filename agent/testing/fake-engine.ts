import { BerthError } from "../../shared/errors.ts";
import type { ContainerSummary, Engine, EngineAbout, EngineInspect, Watch } from "../engine/engine.ts";
import type { EngineEvent } from "../engine/event-lines.ts";
import { type InspectParts, inspectOf } from "./builders.ts";

/** An engine that does what a test tells it, faults and silences included. */
export class FakeEngine implements Engine {
  readonly where = "unix:///fake.sock";
  readonly inspected: string[] = [];
  readonly imagesInspected: string[] = [];
  readonly images = new Map<string, EngineInspect>();
  lists = 0;
  restores = false;
  kind: EngineAbout["kind"] = "docker";
  rootless = false;
  /** What the next calls meet: undefined is health. */
  listFault: Error | undefined;
  watchFault: Error | undefined;
  readonly inspectFaults = new Map<string, Error>();
  #containers = new Map<string, { inspect: EngineInspect; version: number }>();
  readonly #vanished = new Set<string>();
  readonly #hidden = new Set<string>();
  #onEvent: ((event: EngineEvent) => void) | undefined;
  #broken: ((fault: Error) => void) | undefined;
  #gate: Promise<void> | undefined;
  readonly #inspectGates = new Map<string, Promise<void>>();

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

  /** Not listed, and there when it is inspected. */
  hide(id: string, isHidden = true): void {
    if (isHidden) this.#hidden.add(id);
    else this.#hidden.delete(id);
  }

  event(id?: string): void {
    this.tell({ kind: "look", id });
  }

  tell(event: EngineEvent): void {
    this.#onEvent?.(event);
  }

  get isWatched(): boolean {
    return this.#onEvent !== undefined;
  }

  /** The engine's process ends. */
  die(): void {
    const broken = this.#broken;
    this.watchFault = this.listFault = gone();
    this.#onEvent = this.#broken = undefined;
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

  /** Inspecting this container hangs, as it does while the engine starts it, until the returned function is called. */
  holdInspect(id: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#inspectGates.set(id, promise);
    return () => {
      this.#inspectGates.delete(id);
      resolve();
    };
  }

  async list(): Promise<ContainerSummary[]> {
    this.lists += 1;
    await this.#gate;
    if (this.listFault !== undefined) throw this.listFault;
    const listed = [...this.#containers].filter(([id]) => !this.#hidden.has(id));
    return listed.map(([id, { inspect, version }]) => ({
      id,
      name: String(inspect.Name).slice(1),
      fingerprint: String(version),
    }));
  }

  async inspect(id: string): Promise<EngineInspect | undefined> {
    this.inspected.push(id);
    await this.#inspectGates.get(id);
    const fault = this.inspectFaults.get(id);
    if (fault !== undefined) throw fault;
    return this.#vanished.has(id) ? undefined : this.#containers.get(id)?.inspect;
  }

  async inspectImage(id: string): Promise<EngineInspect | undefined> {
    this.imagesInspected.push(id);
    return this.images.get(id);
  }

  async watchEvents(onEvent: (event: EngineEvent) => void, onBroken: (fault: Error) => void): Promise<Watch> {
    if (this.watchFault !== undefined) throw this.watchFault;
    this.#onEvent = onEvent;
    this.#broken = onBroken;
    return {
      close: () => {
        this.#onEvent = this.#broken = undefined;
      },
    };
  }

  async about(): Promise<EngineAbout> {
    return { kind: this.kind, version: "1", rootless: this.rootless, liveRestore: this.restores };
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
