import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { type BigIntStats, readFileSync, statSync } from "node:fs";

import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Users } from "../socks/handshake.ts";
import { parseUsers } from "./users.ts";

type UsersLog = Pick<Log, "info" | "warn">;

/**
 * The users in the file at `path`, which is looked at whenever somebody presents a password and read again when it changed: a user taken
 * out gets no new connection from then on. Throws a BerthError `bad-users-file` when it cannot be used at the start; a fault that comes
 * later lets nobody in until it is mended, and is logged once.
 */
export function openUsersFile(path: string, log: UsersLog): Users {
  const file = new UsersFile(path, log);
  file.open();
  return file;
}

class UsersFile implements Users {
  readonly #path: string;
  readonly #log: UsersLog;
  /** Passwords are compared by a digest under a key of this process alone: all of one length, and nothing to gain by measuring. */
  readonly #key = randomBytes(32);
  readonly #nobody = randomBytes(32);
  #digests = new Map<string, Uint8Array>();
  #stamp = "";

  constructor(path: string, log: UsersLog) {
    this.#path = path;
    this.#log = log;
  }

  open(): void {
    const stats = this.#stats();
    this.#stamp = stampOf(stats);
    this.#read(stats);
    if (this.#digests.size === 0) throw this.#fault("names no user; write lines of name:password");
  }

  verify(name: Uint8Array, password: Uint8Array): string | undefined {
    this.#refresh();
    const user = Buffer.from(name).toString();
    const known = this.#digests.get(user);
    // Somebody unknown costs as much as somebody known.
    const isRight = timingSafeEqual(this.#digest(password), known ?? this.#nobody);
    return isRight && known !== undefined ? user : undefined;
  }

  /** In the call itself, as what it costs is a few microseconds and a hand-shake has to have its answer. */
  #refresh(): void {
    let stamp = "missing";
    try {
      const stats = this.#stats();
      stamp = stampOf(stats);
      if (stamp === this.#stamp) return;
      this.#read(stats);
      this.#log.info(`the users' file ${this.#path} was read again: ${this.#digests.size} users`);
    } catch (fault) {
      this.#digests = new Map();
      if (stamp !== this.#stamp) this.#log.warn(`nobody is let in: ${describeFault(fault)}`);
    }
    this.#stamp = stamp;
  }

  #stats(): BigIntStats {
    try {
      return statSync(this.#path, { bigint: true });
    } catch (cause) {
      throw this.#fault("cannot be read", cause);
    }
  }

  #read(stats: BigIntStats): void {
    // As ssh(1) has it with keys: what others can read is no secret.
    if ((stats.mode & 0o077n) !== 0n) {
      throw this.#fault("can be read or written by others; take their rights away (chmod 600)");
    }
    const { passwords, problems } = parseUsers(this.#text());
    for (const problem of problems) this.#log.warn(`users' file ${this.#path}, ${problem}`);
    this.#digests = new Map([...passwords].map(([name, password]) => [name, this.#digest(password)]));
  }

  #text(): string {
    try {
      return readFileSync(this.#path, "utf8");
    } catch (cause) {
      throw this.#fault("cannot be read", cause);
    }
  }

  #digest(password: Uint8Array): Uint8Array {
    return createHmac("sha256", this.#key).update(password).digest();
  }

  #fault(what: string, cause?: unknown): BerthError {
    return new BerthError("bad-users-file", `the users' file ${this.#path} ${what}`, {
      who: this.#path,
      cause,
    });
  }
}

/** A file that was written anew, put in another's place or had its rights changed has another one. */
function stampOf({ mtimeNs, ctimeNs, size, ino }: BigIntStats): string {
  return `${mtimeNs} ${ctimeNs} ${size} ${ino}`;
}
