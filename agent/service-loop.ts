import type { Problem } from "../shared/binding.ts";
import type { DeclaredService } from "./declare/input.ts";

/** Where declared services are read from. */
export interface ServiceReader {
  /** Never rejects, and never hangs: what cannot be read is a problem. */
  read(): Promise<{ services: DeclaredService[]; problems: Problem[] }>;
  /** Calls `onChange` when `read` may say something else than last time, and `onLook` every few seconds, as long as it is watched for that. */
  watch(onChange: () => void, onLook: () => void): void;
  close(): void;
}

/** Keeps what the files of services say. */
export class ServiceLoop {
  readonly #reader: ServiceReader;
  readonly #onChange: () => void;
  readonly #onProgress: () => void;
  #current: { services: readonly DeclaredService[]; problems: readonly Problem[] } | undefined;
  #isClosed = false;

  /** `onProgress` is called at every step of the loop. */
  constructor(reader: ServiceReader, onChange: () => void, onProgress: () => void) {
    this.#reader = reader;
    this.#onChange = onChange;
    this.#onProgress = onProgress;
  }

  /** Undefined before the first read. */
  get current(): { services: readonly DeclaredService[]; problems: readonly Problem[] } | undefined {
    return this.#current;
  }

  /** Resolves once the files were read for the first time; they are watched from then on. */
  async run(): Promise<void> {
    await this.refresh();
    if (!this.#isClosed) this.#reader.watch(() => void this.refresh(), this.#onProgress);
  }

  async refresh(): Promise<void> {
    const read = await this.#reader.read();
    if (this.#isClosed) return;
    this.#current = read;
    this.#onProgress();
    this.#onChange();
  }

  close(): void {
    this.#isClosed = true;
    this.#reader.close();
  }
}
