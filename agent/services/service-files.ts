import { type FSWatcher, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

import type { Problem } from "../../shared/binding.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Name } from "../../shared/name.ts";
import type { Clock } from "../clock.ts";
import type { DeclaredService } from "../declare/input.ts";
import { isMissing } from "../private-file.ts";
import { problemOf } from "../problem.ts";
import { BoundedReads } from "./bounded-reads.ts";
import { type Heard, textOf } from "./file-text.ts";
import { type FileReading, type ServiceReading, servicesFromText } from "./service-file.ts";

export interface ServiceFilesOptions {
  /** Need not be there. */
  directory: string;
  zone: Name;
  clock: Clock;
  /** How the directory is listed; as the system does unless told. */
  list?: (directory: string) => Promise<string[]>;
}

const mostFiles = 500;
const mostServices = 500;
/** For one call. A file system of another machine that is away never answers; what else the host declares must not wait for it. */
const callLimitMs = 10_000;
/** For all of them: a service manager that hears nothing of the files for 45 s takes the agent for one that hangs. */
const readLimitMs = 30_000;
/** What the kernel does not tell, such as a directory that is made only now, or a change on a network file system. */
const pollMs = 10_000;
/** An editor writes a file in several steps. */
const settleMs = 200;

/** The services declared in a directory's *.toml files; files whose name begins with a dot are left to the editors that make them. */
export class ServiceFiles {
  readonly #options: ServiceFilesOptions;
  readonly #reads: BoundedReads<ServiceReading>;
  readonly #heard: Heard = (call) => this.#reads.heard(call);
  /** What each file said when it could be read last; undefined before the directory could be. */
  #lastGood: Map<string, DeclaredService[]> | undefined;
  /** What the directory looked like when it was read, or looked at, last. */
  #seen: string | undefined;
  #watcher: { inode: bigint; watcher: FSWatcher } | undefined;
  #onChange: (() => void) | undefined;
  #looks = 0;
  #cancelLook = (): void => {};
  #cancelPoll = (): void => {};

  constructor(options: ServiceFilesOptions) {
    this.#options = options;
    const { clock } = options;
    const limits = { limitMs: callLimitMs, mostMs: readLimitMs };
    this.#reads = new BoundedReads({ clock, ...limits, onLate: () => this.#onChange?.() });
  }

  /**
   * All services, sorted by file, and what is wrong; within 30 s, and 10 s after the last call that was answered. Never rejects: a
   * directory that is missing declares nothing; what is there but does not answer, cannot be read, or is half written, is a problem, and its
   * services stay as they were read last. What is read later than that, the next call tells.
   */
  async read(): Promise<ServiceReading> {
    const read = await this.#reads.result(() => this.#readAll());
    return read ?? this.#unread("does not answer in time", "is its file system there?");
  }

  #unread(what: string, why: string): ServiceReading {
    const { directory } = this.#options;
    const so =
      this.#lastGood === undefined
        ? "and was not read since the agent's start, so nothing of it is declared"
        : "so what was read last stands";
    const message = `the directory of declared services ${what}, ${so}: ${why}`;
    const problems = [problemOf(directory, "bad-service-file", message)];
    return { services: bounded([...(this.#lastGood?.values() ?? [])].flat(), problems), problems };
  }

  async #readAll(): Promise<ServiceReading> {
    const { directory, list = readdir } = this.#options;
    const problems: Problem[] = [];
    this.#seen = await this.#fingerprint();
    let files: string[];
    try {
      files = filesAmong(await this.#heard(namesIn(directory, list)), directory, problems);
    } catch (fault) {
      return this.#unread("cannot be read", describeFault(fault));
    }
    const read = new Map<string, DeclaredService[]>();
    for (const file of files) read.set(file, await this.#readFile(file, problems));
    this.#lastGood = read;
    return { services: bounded([...read.values()].flat(), problems), problems };
  }

  /**
   * Calls `onChange` when the files may say something else than `read` told last: within a second mostly, else within ten. `onLook` is called
   * every ten seconds, also while the directory does not answer.
   */
  watch(onChange: () => void, onLook: () => void = () => {}): void {
    this.#onChange = onChange;
    void this.#look();
    this.#pollLater(onLook);
  }

  /** Ends the watch. */
  close(): void {
    this.#onChange = undefined;
    this.#cancelLook();
    this.#cancelPoll();
    this.#watcher?.watcher.close();
    this.#watcher = undefined;
  }

  async #readFile(file: string, problems: Problem[]): Promise<DeclaredService[]> {
    const { directory, zone } = this.#options;
    let reading: FileReading;
    try {
      reading = servicesFromText(file, await textOf(join(directory, file), this.#heard), zone);
    } catch (fault) {
      // Removed since it was listed.
      if (isMissing(fault)) return [];
      reading = {
        services: undefined,
        problems: [problemOf(file, "bad-service-file", describeFault(fault))],
      };
    }
    if (reading.services !== undefined) {
      problems.push(...reading.problems);
      return reading.services;
    }
    const kept = this.#lastGood?.get(file) ?? [];
    const stays = kept.length === 0 ? "" : "its services stay as they were read last: ";
    for (const { code, message } of reading.problems) problems.push(problemOf(file, code, stays + message));
    return kept;
  }

  #pollLater(onLook: () => void): void {
    this.#cancelPoll = this.#options.clock.after(pollMs, () => {
      void this.#look();
      this.#pollLater(onLook);
      onLook();
    });
  }

  #lookSoon(): void {
    this.#cancelLook();
    this.#cancelLook = this.#options.clock.after(settleMs, () => void this.#look());
  }

  /** One that waits for its turn sees all that has happened until then. */
  async #look(): Promise<void> {
    if (this.#looks > 1) return;
    this.#looks += 1;
    await this.#reads.inTurn(() => this.#lookNow());
    this.#looks -= 1;
  }

  async #lookNow(): Promise<void> {
    // Before the fingerprint is taken: what changes after it is told by an event.
    await this.#watchDirectory();
    const before = this.#seen;
    const now = await this.#fingerprint();
    // A read that came between has seen it already.
    if (before !== this.#seen) return;
    this.#seen = now;
    if (before !== undefined && before !== now) this.#onChange?.();
  }

  /** Again when the directory is another one than before: the kernel watches the one that was removed. */
  async #watchDirectory(): Promise<void> {
    const { directory } = this.#options;
    const inode = await this.#heard(stat(directory, { bigint: true })).then(
      ({ ino }) => ino,
      () => undefined,
    );
    if (this.#onChange === undefined || this.#watcher?.inode === inode) return;
    this.#watcher?.watcher.close();
    this.#watcher = undefined;
    if (inode === undefined) return;
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#lookSoon());
      this.#watcher = { inode, watcher };
      watcher.on("error", () => {
        watcher.close();
        if (this.#watcher?.watcher === watcher) this.#watcher = undefined;
      });
    } catch {
      // No more watches to be had, or removed meanwhile: the poll sees what changes.
    }
  }

  async #fingerprint(): Promise<string> {
    const { directory, list = readdir } = this.#options;
    const looks: string[] = [];
    try {
      for (const file of filesAmong(await this.#heard(namesIn(directory, list)), directory, [])) {
        const asked = stat(join(directory, file), { bigint: true });
        const look = await this.#heard(asked).catch(() => undefined);
        looks.push(`${file} ${look?.ino} ${look?.size} ${look?.ctimeNs}`);
      }
    } catch (fault) {
      return describeFault(fault);
    }
    return looks.join("\n");
  }
}

async function namesIn(directory: string, list: (directory: string) => Promise<string[]>): Promise<string[]> {
  try {
    return await list(directory);
  } catch (fault) {
    if (isMissing(fault)) return [];
    throw fault;
  }
}

function filesAmong(names: readonly string[], directory: string, problems: Problem[]): string[] {
  const files = names.filter((name) => name.endsWith(".toml") && !name.startsWith(".")).toSorted();
  const good = files.filter((name) => /^[\w@+=,.-]{1,120}$/.test(name));
  for (const name of files.filter((file) => !good.includes(file))) {
    const message =
      "the file is left out for its name; rename it to at most 120 letters, digits, dots, hyphens and underscores";
    problems.push(problemOf(name, "bad-service-file", message));
  }
  if (good.length > mostFiles) {
    const message = `there are ${good.length} files of services, and berth reads ${mostFiles}; put several services into one`;
    problems.push(problemOf(directory, "too-many", message));
  }
  return good.slice(0, mostFiles);
}

function bounded(services: DeclaredService[], problems: Problem[]): DeclaredService[] {
  if (services.length <= mostServices) return services;
  const [first] = services.slice(mostServices);
  const message = `${services.length} services are declared, and berth takes ${mostServices}; those from ${first?.id} on are left out`;
  problems.push(problemOf(first?.id ?? "", "too-many", message));
  return services.slice(0, mostServices);
}
