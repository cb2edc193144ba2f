import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { BindingStore } from "../store.ts";

/** A store that also tells the operator why it takes no pushes: the hosts alone hear of a full disk otherwise. */
export function tellingOfFaults<S extends BindingStore>(store: S, log: Log): S {
  const told = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (fault) {
      // All others are in the log already, with the request they came from.
      const isKnown = fault instanceof BerthError && ["disk-full", "store-unavailable"].includes(fault.code);
      if (isKnown) log.error(`a push was refused: ${describeFault(fault)}`);
      throw fault;
    }
  };
  return {
    ...store,
    push: (hostId, push, access) => told(store.push(hostId, push, access)),
    pushDelta: (hostId, delta, access) => told(store.pushDelta(hostId, delta, access)),
  };
}
