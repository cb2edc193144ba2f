import { type Address, isLoopback } from "../shared/address.ts";
import { parseBlock } from "./policy/address-block.ts";

/** How many connections there may be at a time. */
export interface ConnectionLimits {
  /** Of all clients together. */
  connections: number;
  /**
   * Of one client address, an IPv6 network of 64 bits counting as one, and of one user. Loopback is no client's own: all programs of this
   * machine are there, and none may be locked out by another's many connections before all places are taken.
   */
  connectionsPerClient: number;
}

/** Why somebody may not have one more connection: what there are too many of, in words. */
export type Excess = "connections" | "connections of this client" | "connections of this user";

/** Counts who holds how many connections. What is admitted must be released. */
export class Admission {
  readonly #limits: ConnectionLimits;
  readonly #held = new Map<string, number>();
  #all = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** How many are held now. */
  get connections(): number {
    return this.#all;
  }

  /** One more connection from `client`, whose address nobody knows if it is undefined; undefined when it may be. */
  admit(client: Address | undefined): Excess | undefined {
    if (this.#all >= this.#limits.connections) return "connections";
    const key = clientKey(client);
    if (key !== undefined && !this.#hold(key)) return "connections of this client";
    this.#all++;
    return undefined;
  }

  release(client: Address | undefined): void {
    const key = clientKey(client);
    if (key !== undefined) this.#let(key);
    this.#all--;
  }

  /** A connection that was admitted turns out to be this user's. */
  admitUser(user: string): Excess | undefined {
    return this.#hold(userKey(user)) ? undefined : "connections of this user";
  }

  releaseUser(user: string): void {
    this.#let(userKey(user));
  }

  #hold(key: string): boolean {
    const held = this.#held.get(key) ?? 0;
    if (held >= this.#limits.connectionsPerClient) return false;
    this.#held.set(key, held + 1);
    return true;
  }

  #let(key: string): void {
    const left = (this.#held.get(key) ?? 0) - 1;
    if (left > 0) this.#held.set(key, left);
    else this.#held.delete(key);
  }
}

/**
 * Whose share `client`, an address, takes of anything: its own, or with IPv6 that of its network, in which one machine may have as many
 * addresses as it likes (RFC 4291 §2.5.1).
 */
export function shareOf(client: string): string {
  const network = client.includes(":") ? parseBlock(`${client}/64`) : undefined;
  return network === undefined ? client : network.octets.slice(0, 8).join(".");
}

/** Undefined for a program of this machine. A user may be called as an address is written. */
function clientKey(client: Address | undefined): string | undefined {
  if (client === undefined) return "@";
  return isLoopback(client) ? undefined : `@${shareOf(client)}`;
}

function userKey(user: string): string {
  return `=${user}`;
}
