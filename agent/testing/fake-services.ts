import type { Problem } from "../../shared/binding.ts";
import type { DeclaredService } from "../declare/input.ts";
import type { ServiceReader } from "../service-loop.ts";

/** Files of services that say what a test tells them to. */
export class FakeServices implements ServiceReader {
  services: DeclaredService[] = [];
  problems: Problem[] = [];
  reads = 0;
  #onChange: (() => void) | undefined;

  async read(): Promise<{ services: DeclaredService[]; problems: Problem[] }> {
    this.reads += 1;
    return { services: this.services, problems: this.problems };
  }

  watch(onChange: () => void): void {
    this.#onChange = onChange;
  }

  change(): void {
    this.#onChange?.();
  }

  close(): void {
    this.#onChange = undefined;
  }
}
