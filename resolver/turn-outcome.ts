import type { PushReply } from "../shared/binding.ts";
import { BerthError } from "../shared/errors.ts";
import { invalidBody } from "./routes/body.ts";
import type { TurnOutcome } from "./store.ts";

/** What a host is told: the reply when its request was accepted; else throws the one fault this outcome stands for. */
export function replyOf(outcome: TurnOutcome): PushReply {
  if (outcome.kind === "accepted") return outcome.reply;
  throw faultOfOutcome(outcome);
}

/** The one table from what became of a turn to a fault. */
export function faultOfOutcome(outcome: Exclude<TurnOutcome, { kind: "accepted" }>): BerthError {
  switch (outcome.kind) {
    case "unknown-digest":
      return new BerthError("unknown-digest", "this resolver does not hold that set; push the whole set");
    case "superseded": {
      const { heldEpoch, leaseRemaining } = outcome;
      const message = `a later request of this host was answered already, or another process pushes for it (epoch ${heldEpoch})`;
      return new BerthError("superseded", message, { facts: { heldEpoch, leaseRemaining } });
    }
    case "unknown-generation": {
      const { generation } = outcome;
      const message = `the request was signed for another life of this registry; sign it anew with nonce "${generation}"`;
      return new BerthError("unknown-generation", message, { facts: { generation } });
    }
    case "host-not-allowed":
      return new BerthError("host-not-allowed", whyNotAllowed(outcome.maxHosts));
    case "wrong-digest":
      return invalidBody([
        { path: "digest", message: "is not the digest of the set that the changes lead to" },
      ]);
  }
}

function whyNotAllowed(maxHosts: number | undefined): string {
  if (maxHosts === undefined) return "this token may not speak for this host; its scope names others";
  return `this token has no room for another host: each takes one of its ${maxHosts} bindings at least; remove a host, or use a token with a higher limit`;
}
