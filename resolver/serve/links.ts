import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";

import type { PushReply } from "../../shared/binding.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import { closing, linkProtocol } from "../link-protocol.ts";
import { type Bound, createLink, type Link, type LinkParts } from "./link.ts";
import { checkLinkRequest, isLinkRequest, refuseUpgrade } from "./link-upgrade.ts";

export interface LinkServerParts extends Pick<LinkParts, "ping" | "log"> {
  /** Judges the request for a link as a renewal is judged. A BerthError it throws becomes the reply in place of the upgrade. */
  verify(request: IncomingMessage): Promise<Bound>;
  /** What to tell a host the moment its link is open: grants may have changed between the judgement and the upgrade. */
  opened?(bound: Bound): PushReply | undefined;
  /** The reply to a fault, as every other route would give it. */
  replyFor(fault: unknown): Response;
  limits?: Partial<LinkLimits>;
}

/** Links of all hosts, and of one; octets of a client's message; frames in a second; octets a client may leave unread; times in ms. */
export interface LinkLimits {
  links: number;
  perHost: number;
  payload: number;
  frames: number;
  unread: number;
  judgeMs: number;
  closingMs: number;
  shutdownMs: number;
}

export interface LinkServer {
  /** Whether an upgrade is one to a link. */
  wants(request: IncomingMessage): boolean;
  /** Takes an 'upgrade' event of a transport. It never throws, and the socket is its own from then on. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Asks `check` for each link of the host what to send; undefined closes it, because the set it was opened for is another now. */
  hostChanged(hostId: string, check: (bound: Bound) => PushReply | undefined): void;
  /** Closes every link opened with this token. */
  closeToken(tokenId: string): void;
  /** How many links are open. */
  count(): number;
  /** Takes no more, and closes all; resolves when they are closed. */
  close(): Promise<void>;
}

const standardLimits: LinkLimits = {
  links: 10_000,
  // A new link of a host comes before the old one is known to be dead.
  perHost: 2,
  payload: 64,
  frames: 20,
  unread: 1024 * 1024,
  judgeMs: 10_000,
  closingMs: 5000,
  // A resolver that is to end does not wait longer for clients to say goodbye.
  shutdownMs: 1000,
};

/** Links of hosts to this process: a ping on one prolongs the lease it is bound to. A link that closes withdraws nothing. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a link lives in what these five share, and each of them is short
export function createLinkServer(parts: LinkServerParts): LinkServer {
  const limits = { ...standardLimits, ...parts.limits };
  const opener = createOpener(limits);
  const linksOf = new Map<string, Link[]>();
  /** Those on their way out as well: they still hold a connection. */
  const sockets = new Set<WebSocket>();
  let judged = 0;
  let isClosed = false;

  async function take(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // Unheard, a connection reset while we judge would end the process.
    socket.on("error", () => undefined);
    judged++;
    try {
      checkLinkRequest(request);
      checkRoom();
      const bound = await within(limits.judgeMs, parts.verify(request));
      checkRoom();
      opener.handleUpgrade(request, socket, head, (opened) => open(opened, bound));
    } catch (fault) {
      await refuseUpgrade(socket, parts.replyFor(fault), limits.closingMs);
    } finally {
      judged--;
    }
  }

  function checkRoom(): void {
    const options = { retryable: true };
    if (isClosed) throw new BerthError("store-unavailable", "the resolver is going away", options);
    if (sockets.size + judged <= limits.links) return;
    const message = "this resolver has as many links as it takes; renew over HTTP";
    throw new BerthError("too-many-links", message, options);
  }

  function open(socket: WebSocket, bound: Bound): void {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    const { ping, log } = parts;
    const link = createLink(socket, bound, { ping, ended: forget, log, limits });
    const links = [...(linksOf.get(bound.hostId) ?? []), link];
    linksOf.set(bound.hostId, links);
    for (const old of links.slice(0, -limits.perHost)) old.end(closing.replaced);
    greet(link);
  }

  function greet(link: Link): void {
    try {
      const news = parts.opened?.(link.bound);
      if (news !== undefined) link.tell(news);
    } catch (fault) {
      parts.log.error(`opening a link: ${describeFault(fault)}`);
      link.end(closing.failed);
    }
  }

  function forget(link: Link): void {
    const { hostId } = link.bound;
    const rest = (linksOf.get(hostId) ?? []).filter((other) => other !== link);
    if (rest.length === 0) linksOf.delete(hostId);
    else linksOf.set(hostId, rest);
  }

  const openLinks = (): Link[] => [...linksOf.values()].flat();
  return {
    wants: isLinkRequest,
    upgrade: (request, socket, head) => void take(request, socket, head),
    hostChanged(hostId, check) {
      for (const link of linksOf.get(hostId) ?? []) {
        const news = check(link.bound);
        if (news === undefined) link.end(closing.superseded);
        else link.tell(news);
      }
    },
    closeToken(tokenId) {
      for (const link of openLinks()) if (link.bound.tokenId === tokenId) link.end(closing.token);
    },
    count: () => openLinks().length,
    async close() {
      isClosed = true;
      for (const link of openLinks()) link.end(closing.shutdown);
      await untilClosed(sockets, limits.shutdownMs);
    },
  };
}

function createOpener(limits: LinkLimits): WebSocketServer {
  // Not in the call itself, because @types/ws lacks closeTimeout.
  const options = {
    noServer: true,
    clientTracking: false,
    maxPayload: limits.payload,
    perMessageDeflate: false,
    handleProtocols: () => linkProtocol,
    closeTimeout: limits.closingMs,
  };
  return new WebSocketServer(options);
}

async function untilClosed(sockets: Set<WebSocket>, ms: number): Promise<void> {
  const closed = [...sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
  const deadline = setTimeout(() => {
    for (const socket of sockets) socket.terminate();
  }, ms);
  await Promise.all(closed);
  clearTimeout(deadline);
}

/** The client waits with an open connection meanwhile, so judging may not take for ever. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = "the registry did not judge the request in time";
    timer = setTimeout(() => reject(new BerthError("store-unavailable", message, { retryable: true })), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
