import type { IncomingMessage } from "node:http";

import type { PushReply } from "../../shared/binding.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Access } from "../access.ts";
import { replyToFault } from "../faults.ts";
import { entryOfRefusal, type RefusalAudit } from "../refusal-audit.ts";
import { judgeLink } from "../routes/link.ts";
import type { TokenCheck } from "../tokens.ts";
import type { Backend } from "./backend.ts";
import type { Bound } from "./link.ts";
import { createLinkServer, type LinkServer } from "./links.ts";

export interface NodeLinksParts {
  backend: Pick<Backend, "store" | "grantOf" | "touch" | "generation">;
  tokens: TokenCheck;
  refusals: Pick<RefusalAudit, "note">;
  publicPath: string;
  /** Milliseconds since 1970, by the wall clock. */
  now: () => number;
  log: Log;
}

const base = "https://resolver.invalid";

/** The links of hosts to a resolver on Node. */
export interface NodeLinks extends LinkServer {
  /** Tells the host's links what it is granted now, and ends those of a process that speaks for it no more. */
  hostsChanged(hostIds: string[]): void;
}

export function createNodeLinks(parts: NodeLinksParts): NodeLinks {
  const { backend, log } = parts;
  /** Tokens that expire end the links they opened. */
  const expiries = new Map<string, NodeJS.Timeout>();
  const grantFor = ({ hostId, epoch, generation }: Bound): PushReply | undefined => {
    return generation === backend.generation() ? backend.grantOf(hostId, epoch) : undefined;
  };
  const links = createLinkServer({
    async verify(request) {
      const { hostId, epoch, generation, access, reply } = await judge(request, parts);
      endWhenExpired(access.tokenId, access.expiresAt);
      return { hostId, epoch, generation, tokenId: access.tokenId, lease: reply.lease };
    },
    opened: grantFor,
    ping: ({ hostId, epoch, generation }) =>
      generation === backend.generation() && backend.touch(hostId, epoch),
    replyFor: (fault) => replyToFault(fault, () => log.error(`link: ${describeFault(fault)}`)),
    log,
  });

  function endWhenExpired(tokenId: string, expiresAt: number | undefined): void {
    if (expiresAt === undefined || expiries.has(tokenId)) return;
    const left = expiresAt - parts.now();
    // The longest delay a timer takes; the host has to open another link by then.
    const timer = setTimeout(
      () => {
        expiries.delete(tokenId);
        links.closeToken(tokenId);
      },
      Math.min(Math.max(left, 0), 2 ** 31 - 1),
    );
    expiries.set(tokenId, timer.unref());
  }

  return {
    ...links,
    hostsChanged(hostIds) {
      for (const hostId of hostIds) links.hostChanged(hostId, grantFor);
    },
    close() {
      for (const timer of expiries.values()) clearTimeout(timer);
      return links.close();
    },
  };
}

async function judge(request: IncomingMessage, parts: NodeLinksParts) {
  const { backend, tokens, publicPath, refusals, now } = parts;
  let access: Access | undefined;
  const onAccess = (known: Access) => {
    access = known;
  };
  try {
    return await judgeLink(requestFrom(request), { store: backend.store, tokens, publicPath, onAccess });
  } catch (fault) {
    const route = "/v1/hosts/:hostId/link";
    const hostId = /^\/v1\/hosts\/([^/]+)\/link$/.exec(new URL(request.url ?? "/", base).pathname)?.[1] ?? "";
    const refused = { method: "GET", route, params: { hostId }, access };
    const entry = entryOfRefusal(fault, refused, Math.floor(now()));
    if (entry !== undefined) refusals.note(entry);
    throw fault;
  }
}

/** The upgrade as the web request it is; only its path and its header fields are looked at. */
function requestFrom({ url = "/", headersDistinct }: IncomingMessage): Request {
  const headers = new Headers();
  for (const [name, values] of Object.entries(headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  return new Request(new URL(url, base), { headers });
}
