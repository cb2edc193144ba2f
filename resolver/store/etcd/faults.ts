import { BerthError, describeFault } from "../../../shared/errors.ts";

/** gRPC's status codes, as the gateway repeats them [grpc/grpc: doc/statuscodes.md]. */
const grpc = {
  invalidArgument: 3,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
} as const;

/** One member could not carry a request out, and another may. */
export class MemberFault extends Error {
  readonly url: string;
  /** The request was surely not carried out. */
  readonly unapplied: boolean;
  /** The member says that the cluster has no leader at the moment, which an election mends. */
  readonly leaderless: boolean;
  /** One of the two ends refused the other's certificate. */
  readonly untrusted: boolean;

  constructor(url: string, message: string, options: MemberFaultOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.url = url;
    this.unapplied = options.unapplied;
    this.leaderless = options.leaderless ?? false;
    this.untrusted = options.untrusted ?? false;
  }
}

interface MemberFaultOptions {
  unapplied: boolean;
  leaderless?: boolean;
  untrusted?: boolean;
  cause?: unknown;
}

/** The token is none of this member's (any more): members forget theirs when they start. */
export class StaleTokenFault extends Error {}

/** What a gateway says when something went wrong. */
export interface Refusal {
  /** The HTTP status. */
  status: number;
  /** gRPC's code; absent when the reply was none of the gateway's own. */
  code?: number;
  message: string;
}

/**
 * What to make of a refusal: a MemberFault when another member may do better, a StaleTokenFault when a new token may help, else a BerthError:
 * `etcd-auth`, `etcd-compacted`, `etcd-lease-gone`, `etcd-full` or `etcd-refused`.
 */
export function faultFromRefusal(url: string, refusal: Refusal, user: string | undefined): Error {
  const { code, message } = refusal;
  if (/invalid auth token|revision of auth store is old|user name is empty/.test(message)) {
    return new StaleTokenFault(message);
  }
  if (/\bnot? leader/.test(message))
    return new MemberFault(url, message, { unapplied: true, leaderless: true });
  if (/too many requests|not supported for learner/.test(message)) {
    return new MemberFault(url, message, { unapplied: true });
  }
  if (code === grpc.permissionDenied || /authentication failed|permission denied/.test(message)) {
    return authFault(url, message, user);
  }
  if (code === grpc.outOfRange) return historyFault(message);
  if (code === grpc.notFound && /lease/.test(message)) return leaseFault(message);
  if (/database space exceeded/.test(message)) return fullFault(url);
  if (isForGood(refusal)) return refusedFault(url, refusal);
  return new MemberFault(url, message, { unapplied: false });
}

export function authFault(url: string, message: string, user: string | undefined): BerthError {
  const who =
    user === undefined ? "asks for a user, and none is configured" : `does not let user "${user}" do this`;
  const mend = "check the user, its password and its role's permissions in etcd";
  return new BerthError("etcd-auth", `etcd at ${url} ${who} (${message}): ${mend}`, { who: url });
}

/** The history that was asked for is not there. `compactRevision` is the oldest that is, or the least it can be. */
export function historyFault(message: string, compactRevision?: number): BerthError {
  return new BerthError(
    "etcd-compacted",
    `etcd no longer has that revision: read everything anew (${message})`,
    {
      who: "etcd",
      facts: compactRevision === undefined ? {} : { compactRevision },
    },
  );
}

/** After a whole round over the members: `etcd-untrusted` when certificates are all that stands between, else `etcd-unavailable`. */
export function roundFault(faults: MemberFault[]): BerthError {
  const told = faults.map((fault) => `${fault.url}: ${describeFault(fault)}`).join("; ");
  if (faults.every(({ untrusted }) => untrusted)) {
    const mend = "give the CA that signed etcd's certificates, and a client certificate if etcd asks for one";
    return new BerthError("etcd-untrusted", `no TLS connection to etcd (${told}): ${mend}`, { who: "etcd" });
  }
  return new BerthError("etcd-unavailable", `no member of etcd can be used now (${told})`, {
    who: "etcd",
    retryable: true,
    cause: faults.at(-1),
  });
}

/** The request may have been carried out or not: only reading tells. */
export function uncertainFault(fault: MemberFault): BerthError {
  const message = `etcd at ${fault.url} did not say whether it carried out a change (${fault.message}): read before repeating it`;
  return new BerthError("etcd-uncertain", message, { who: fault.url, retryable: true, cause: fault });
}

function leaseFault(message: string): BerthError {
  return new BerthError("etcd-lease-gone", `the lease is gone: grant a new one (${message})`, {
    who: "etcd",
  });
}

function fullFault(url: string): BerthError {
  const mend =
    "compact and defragment it, then disarm the alarm with etcdctl, or raise --quota-backend-bytes";
  const message = `etcd's database is over its quota and takes no more: ${mend}`;
  return new BerthError("etcd-full", message, { who: url, retryable: true });
}

/** Every member would say the same. */
function isForGood({ code, status, message }: Refusal): boolean {
  if (code === grpc.invalidArgument || code === grpc.notFound || code === grpc.failedPrecondition)
    return true;
  if (code === grpc.unimplemented) return true;
  if (code === grpc.resourceExhausted) return /too large|larger than max/.test(message);
  return code === undefined && status < 500;
}

function refusedFault(url: string, { code, status, message }: Refusal): BerthError {
  const mend = code === undefined ? " (etcd 3.4 or newer is needed, with its JSON gateway on)" : "";
  return new BerthError("etcd-refused", `etcd at ${url} refuses (status ${status}): ${message}${mend}`, {
    who: url,
    facts: code === undefined ? {} : { code },
  });
}
