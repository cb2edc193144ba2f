/** Registry values under IANA's own names (DNS Parameters); the RFC that defines each group stands beside it. */

/** RFC 1035 §3.2.2, 3596, 2782, 6891, 9460, 8482. */
export const RRType = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  HTTPS: 65,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;
export type RRType = (typeof RRType)[keyof typeof RRType];

/** RFC 1035 §3.2.4. */
export const RRClass = { IN: 1, ANY: 255 } as const;

/** RFC 1035 §4.1.1. */
export const Opcode = { Query: 0 } as const;

/** RFC 1035 §4.1.1; BADVERS: RFC 6891 §9. */
export const Rcode = {
  NoError: 0,
  FormErr: 1,
  ServFail: 2,
  NXDomain: 3,
  NotImp: 4,
  Refused: 5,
  BadVers: 16,
} as const;
export type Rcode = (typeof Rcode)[keyof typeof Rcode];

/** EDNS(0) option codes: RFC 7830, RFC 8914. */
export const EdnsOption = { Padding: 12, ExtendedError: 15 } as const;

/** Extended DNS Error codes: RFC 8914 §4. */
export const ExtendedError = {
  StaleAnswer: 3,
  NotAuthoritative: 20,
  NoReachableAuthority: 22,
  InvalidData: 24,
} as const;

/** The name IANA gives `rcode`, or RCODEn: an unknown code must never pass for NOERROR. */
export function rcodeName(rcode: number): string {
  const found = Object.entries(Rcode).find(([, value]) => value === rcode);
  return found === undefined ? `RCODE${rcode}` : found[0].toUpperCase();
}
