import type { Problem } from "../shared/binding.ts";
import type { DeclaredService } from "./declare/input.ts";

/** Where declared services are read from. */
export interface ServiceReader {
  /** Never rejects: what cannot be read is a problem. */
  read(): Promise<{ services: DeclaredService[]; problems: Problem[] }>;
  /** Calls `onChange` when `read` may say something else than last time. */
  watch(onChange: () => void): void;
  close(): void;
}

/** Keeps what the files of services say. */
export class ServiceLoop {
  readonly #reader: ServiceReader;
  readonly #onChange: () => void;
  #current: { services: readonly DeclaredService[]; problems: readonly Problem[] } | undefined;
  #isClosed = false;

  constructor(reader: ServiceReader, onChange: () => void) {
    this.#reader = reader;
    this.#onChange = onChange;
  }

  /** Undefined before the first read. */
  get current(): { services: readonly DeclaredService[]; problems: readonly Problem[] } | undefined {
    return this.#current;
  }

  /** Resolves once the files were read for the first time; they are watched from then on. */
  async run(): Promise<void> {
    await this.refresh();
    if (!this.#isClosed) this.#reader.watch(() => void this.refresh());
  }

  async refresh(): Promise<void> {
    const read = await this.#reader.read();
    if (this.#isClosed) return;
    this.#current = read;
    this.#onChange();
  }

  close(): void {
    this.#isClosed = true;
    this.#reader.close();
  }
}
