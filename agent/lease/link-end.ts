import { describeFault } from "../../shared/errors.ts";

/** How a link came to its end, or never to its beginning. */
export type LinkEnd =
  | { kind: "refused"; status: number }
  | { kind: "closed"; code: number }
  | { kind: "failed"; fault: unknown };

/** What an end means to whoever holds the lease: nothing but that requests are used again, or more. */
export type LinkNews = "over" | "renew-now" | "push-whole" | "resolver-leaves";

export function newsOf(end: LinkEnd): LinkNews {
  // The set, the epoch or the generation is another; or the token is revoked, and the push says so.
  if (end.kind === "closed" && (end.code === 4409 || end.code === 4401)) return "push-whole";
  if (end.kind === "closed" && end.code === 1001) return "resolver-leaves";
  // A renewal by request meets the same refusal, and its reply says all there is to it.
  if (end.kind === "refused" && [401, 403, 409].includes(end.status)) return "renew-now";
  return "over";
}

/** Every other status below 500 is a refusal of whoever answered to speak this protocol at all. */
export function hasNoLinks(end: LinkEnd): boolean {
  if (end.kind !== "refused") return false;
  return end.status === 501 || (end.status < 500 && ![401, 403, 408, 409, 429].includes(end.status));
}

export function describeEnd(end: LinkEnd): string {
  if (end.kind === "refused") return `the upgrade was answered with HTTP ${end.status}`;
  return end.kind === "closed" ? `it was closed with code ${end.code}` : describeFault(end.fault);
}
