import type { Name } from "../shared/name.ts";

/** What one step of the registry changed; told after it is durable, so that whoever waits for it can look again. */
export interface Change {
  /** The registry's revision after it. */
  revision: number;
  /** Names whose answers may be others now. None when only something about a host changed, such as its problems or its epoch. */
  names: Name[];
  /** Hosts whose record changed, that were granted something else than before, or that are gone. */
  hosts: string[];
}
