import { BerthError } from "../shared/errors.ts";

/** The WebSocket subprotocol of links. */
export const linkProtocol = "berth.link.1";

/** Close codes are part of the protocol: docs/protocol.md says what an agent does about each. */
export const closing = {
  superseded: [4409, "push the whole set"],
  replaced: [4409, "another link of this host was opened"],
  token: [4401, "the token was revoked or has expired"],
  idle: [1001, "no ping for three leases"],
  shutdown: [1001, "the resolver is going away"],
  unknownMessage: [1003, "send ping"],
  flood: [1008, "too many frames"],
  failed: [1011, "the lease could not be prolonged"],
} as const;
export type Closing = (typeof closing)[keyof typeof closing];

/** Throws a BerthError `bad-link-request` unless `offered`, the header field Sec-WebSocket-Protocol, has the subprotocol. */
export function checkLinkProtocol(offered: string | null | undefined): void {
  const names = (offered ?? "").split(",").map((name) => name.trim());
  if (names.includes(linkProtocol)) return;
  throw new BerthError("bad-link-request", `a link needs "sec-websocket-protocol: ${linkProtocol}"`);
}
