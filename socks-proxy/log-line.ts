import type { Destination } from "../client/answers/destination.ts";
import { formatEndpoint } from "../shared/address.ts";
import type { Negotiation } from "./socks/negotiate.ts";
import type { Refusal } from "./socks/reply.ts";
import { Method } from "./socks/wire.ts";

/** The words of the log: why a connection came to nothing. Payload never gets here. */

const maxFailuresShown = 5;
const maxPortsShown = 10;

export function destinationText(destination: Destination): string {
  const address = destination.kind === "name" ? destination.name : destination.address;
  return formatEndpoint({ address, port: destination.port });
}

export function refusalText(refusal: Refusal): string {
  switch (refusal.kind) {
    case "malformed-request":
    case "bad-name":
    case "not-found":
    case "no-answer":
    case "own-fault":
      return refusal.reason;
    case "no-token":
      return `${refusal.reason}; name the file of a reader's token with --token-file`;
    case "not-allowed":
      return refusal.reason ?? "destinations outside the zone are denied (--outside deny)";
    case "port-not-published":
      return publishedText(refusal.published);
    case "command-not-supported":
      return `SOCKS command ${refusal.command} is not supported`;
    case "address-type-not-supported":
      return `SOCKS address type ${refusal.addressType} is unknown`;
    case "authentication-required":
      return "users have to prove who they are, which SOCKS4 cannot carry; set the client to SOCKS5";
    case "too-many":
      return `there are too many ${refusal.what} already`;
    case "connect-failed": {
      const failures = refusal.failures.map(
        ({ candidate, errno }) => `${formatEndpoint(candidate)} ${errno}`,
      );
      return `no connection: ${firstOf(failures, maxFailuresShown)}`;
    }
  }
}

/** For a hand-shake that ended before there was a request to grant. */
export function handshakeText(negotiation: Exclude<Negotiation, { kind: "request" | "http" }>): string {
  switch (negotiation.kind) {
    case "unknown-protocol":
      return `neither SOCKS nor HTTP: ${protocolGuess(negotiation.firstOctet)}`;
    case "no-acceptable-method":
      return negotiation.wanted === Method.NoAuthentication
        ? "the client does not offer to go on without authentication (method 0), and this proxy has no users (--users-file)"
        : "the client does not offer a user name and a password (method 2), which this proxy asks for";
    case "not-authenticated":
    case "refused":
      return negotiation.kind === "refused" ? refusalText(negotiation.refusal) : negotiation.reason;
    case "handshake-timeout":
      return "the hand-shake took too long";
    case "client-gone":
      return "the client left before its request";
  }
}

function publishedText(published: number[]): string {
  if (published.length === 0) return "it publishes no TCP port";
  return `it does not publish this port; it publishes ${firstOf(published, maxPortsShown)}`;
}

function firstOf(list: readonly (string | number)[], most: number): string {
  const rest = list.length - most;
  return `${list.slice(0, most).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

function protocolGuess(firstOctet: number): string {
  if (firstOctet === 0x16) return "the client speaks TLS; this proxy is spoken to in the clear";
  return `the first octet is ${firstOctet}`;
}
