import type { ConnectFailure, Connection } from "../client/connect.ts";
import type { Resolution } from "../client/resolution.ts";
import { Rep, type WireFault } from "./wire.ts";

/** Why a request was not granted. */
export type Refusal =
  | Exclude<WireFault, { kind: "not-socks5" }>
  | { kind: "command-not-supported"; command: number }
  | Exclude<Resolution, { kind: "endpoints" }>
  | Exclude<Connection, { kind: "connected" }>;

/** The one table from refusal to REP (RFC 1928 §6). */
export function replyCodeFor(refusal: Refusal): Rep {
  switch (refusal.kind) {
    case "malformed-request":
    case "no-answer":
    case "no-token":
      return Rep.GeneralFailure;
    case "not-allowed":
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
