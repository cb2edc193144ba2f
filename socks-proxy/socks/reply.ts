import type { Resolution } from "../../client/answers/resolution.ts";
import type { ConnectFailure } from "../../client/connect/connect-plan.ts";
import type { ConnectOutcome } from "../../client/connect/connector.ts";
import { type BoundAddress, encodeReply, Rep, unspecified, type WireFault } from "./wire.ts";
import { encodeSocks4Reply } from "./wire-socks4.ts";

/** In which of the two a client asked, and is answered. */
export type SocksProtocol = "socks4" | "socks5";

/** Why a request was not granted. */
export type Refusal =
  | WireFault
  | { kind: "command-not-supported"; command: number }
  /** Over SOCKS4, which has no way to present a password. */
  | { kind: "authentication-required" }
  /** The client, or all clients together, hold as many connections or associations as they may. */
  | { kind: "too-many"; what: string }
  /** A fault of this machine. */
  | { kind: "own-fault"; reason: string }
  | Exclude<Resolution, { kind: "endpoints" }>
  | Exclude<ConnectOutcome, { kind: "connected" } | Resolution>;

/** The reply that grants a request, in the protocol it came in. */
export function granted(protocol: SocksProtocol, boundAddress: BoundAddress): Uint8Array {
  return protocol === "socks5"
    ? encodeReply(Rep.Succeeded, boundAddress)
    : encodeSocks4Reply(true, boundAddress);
}

/** The reply that refuses it; SOCKS4 has one code for all of them. */
export function refused(protocol: SocksProtocol, refusal: Refusal): Uint8Array {
  if (protocol === "socks4") return encodeSocks4Reply(false, unspecified);
  return encodeReply(replyCodeFor(refusal), unspecified);
}

/** The one table from refusal to REP (RFC 1928 §6). */
export function replyCodeFor(refusal: Refusal): Rep {
  switch (refusal.kind) {
    case "malformed-request":
    case "no-answer":
    case "no-token":
    case "too-many":
    case "own-fault":
      return Rep.GeneralFailure;
    case "not-allowed":
    case "authentication-required":
      return Rep.NotAllowed;
    case "bad-name":
    case "not-found":
      return Rep.HostUnreachable;
    case "port-not-published":
      return Rep.ConnectionRefused;
    case "command-not-supported":
      return Rep.CommandNotSupported;
    case "address-type-not-supported":
      return Rep.AddressTypeNotSupported;
    case "connect-failed":
      return replyCodeForFailures(refusal.failures);
  }
}

const replyCodeByErrno: Readonly<Record<string, Rep>> = {
  ECONNREFUSED: Rep.ConnectionRefused,
  EHOSTUNREACH: Rep.HostUnreachable,
  EHOSTDOWN: Rep.HostUnreachable,
  ETIMEDOUT: Rep.HostUnreachable,
  ENETUNREACH: Rep.NetworkUnreachable,
  ENETDOWN: Rep.NetworkUnreachable,
};

/** Of several endpoints the one that came nearest speaks: refused 5, then 4, 3 and 1, which is their numbers' falling order. */
function replyCodeForFailures(failures: ConnectFailure[]): Rep {
  const codes = failures.map(({ errno }) => replyCodeByErrno[errno] ?? Rep.GeneralFailure);
  return codes.toSorted((a, b) => b - a)[0] ?? Rep.GeneralFailure;
}
