import { BerthError } from "../../../shared/errors.ts";

/** How long our own watch may lag behind what etcd has told us. */
export const standardMirrorLimitMs = 5000;

/** What a write is told while etcd cannot take it. */
export function unavailable(cause?: unknown): BerthError {
  const message = "etcd does not take writes now; what is known is still answered, and agents try again";
  return new BerthError("store-unavailable", message, { who: "etcd", retryable: true, cause });
}

/** What a write is told that others kept overtaking. */
export function contested(what: string): BerthError {
  const message = `other resolvers keep writing ${what} at the same time; try again`;
  return new BerthError("store-unavailable", message, { who: "etcd", retryable: true });
}

/** What etcd cannot do now is the store's to say, in words that tell an agent to try again. */
export async function guarded<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (fault) {
    const isOurs = fault instanceof BerthError && !fault.code.startsWith("etcd-");
    throw isOurs ? fault : unavailable(fault);
  }
}
