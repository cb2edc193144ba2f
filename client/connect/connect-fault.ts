import { formatEndpoint } from "../../shared/address.ts";
import { BerthError } from "../../shared/errors.ts";
import type { Destination } from "../answers/destination.ts";
import type { ConnectFailure, PlanEnd } from "./connect-plan.ts";

/**
 * Why a destination could not be connected to or resolved, with the code Node's own functions give for the like, which programs look at:
 * ENOTFOUND for a name there is not, ECONNREFUSED for a port it does not have or nobody listens at, EAI_AGAIN for a resolver that does
 * not answer; `facts.reason` tells them apart. A token that is wanted has no such code: it is `no-token`.
 */
export function connectFault(destination: Destination, outcome: PlanEnd): BerthError {
  const who = destination.kind === "name" ? destination.name : destination.address;
  const { code, text, retryable } = described(outcome, destination.port);
  const facts = { reason: outcome.kind, ...(outcome.kind === "connect-failed" ? outcome : {}) };
  return new BerthError(code, `${who}:${destination.port}: ${text}`, { who, retryable, facts });
}

interface Described {
  code: string;
  text: string;
  retryable: boolean;
}

function described(outcome: PlanEnd, port: number): Described {
  switch (outcome.kind) {
    case "connect-failed":
      return { code: codeOf(outcome.failures), text: textOf(outcome.failures), retryable: true };
    case "not-found":
      return { code: "ENOTFOUND", text: outcome.reason, retryable: true };
    case "bad-name":
      return { code: "ENOTFOUND", text: `it is no name: ${outcome.reason}`, retryable: false };
    case "port-not-published":
      return { code: "ECONNREFUSED", text: publishedText(outcome.published, port), retryable: true };
    case "no-answer":
      return { code: "EAI_AGAIN", text: outcome.reason, retryable: true };
    case "no-token":
      return { code: "no-token", text: outcome.reason, retryable: false };
    case "not-allowed":
      return { code: "EACCES", text: outcome.reason ?? "it is not allowed", retryable: false };
  }
}

/** Of several the one that came nearest speaks. */
const nearest = ["ECONNREFUSED", "EHOSTUNREACH", "ETIMEDOUT", "ENETUNREACH"];

function codeOf(failures: readonly ConnectFailure[]): string {
  const codes = failures.map(({ errno }) => errno);
  return nearest.find((code) => codes.includes(code)) ?? codes[0] ?? "EHOSTUNREACH";
}

const shownFailures = 4;

function textOf(failures: readonly ConnectFailure[]): string {
  if (failures.length === 0) return "it has no endpoint to connect to";
  const shown = failures
    .slice(0, shownFailures)
    .map(({ candidate, errno }) => `${formatEndpoint(candidate)} ${errno}`);
  const more = failures.length - shown.length;
  return `no endpoint accepts the connection: ${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function publishedText(published: readonly number[], port: number): string {
  const ports = published.join(", ");
  return `the name does not publish TCP port ${port}; ${ports === "" ? "it publishes none" : `it publishes ${ports}`}`;
}
