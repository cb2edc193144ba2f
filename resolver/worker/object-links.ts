import type { PushReply } from "../../shared/binding.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { closing } from "../link-protocol.ts";
import type { LinkSign } from "../store/linked-leases.ts";

/** What a link was opened for. */
export interface Bound {
  hostId: string;
  epoch: number;
  generation: string;
  tokenId: string;
  /** What was granted, in seconds. */
  lease: number;
  /** When the token expires, in milliseconds. */
  expiresAt?: number;
}

/** What stays with a socket while the object sleeps. */
interface Attachment extends Bound {
  openedAt: number;
  /** Told to close: nothing it still sends counts. */
  ended?: true;
}

type Ending = readonly [code: number, reason: string];

type Sockets = Pick<
  DurableObjectState,
  "acceptWebSocket" | "getWebSockets" | "getWebSocketAutoResponseTimestamp" | "setWebSocketAutoResponse"
>;

export interface ObjectLinksParts {
  sockets: Sockets;
  /** What the host is granted; undefined when another process speaks for it by now, or nobody. */
  grantFor(bound: Bound): PushReply | undefined;
  /** Told what a link did for a lease, before the link is gone. */
  settle(sign: LinkSign): void;
  now: () => number;
  log: Log;
}

/** A new link of a host comes before the old one is known to be dead. */
const maxPerHost = 2;
const expiringTag = "expiring";
/** The answer to a client's own close: the runtime does not send it, and without it the client waits. */
const goodbye: Ending = [1000, "goodbye"];

/**
 * The links of hosts to a registry object. The runtime answers their pings while the object sleeps and remembers when the last one came:
 * that prolongs leases and costs no write. Everything else is in the sockets' attachments, so nothing is lost with the memory.
 */
export class ObjectLinks {
  readonly #parts: ObjectLinksParts;
  /** No token behind a link expires earlier; undefined until it was looked up. */
  #nextExpiry: number | undefined;

  constructor(parts: ObjectLinksParts) {
    this.#parts = parts;
    parts.sockets.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  /** Opens a link that was judged in this same step; returns the end of it that the client gets. Throws a BerthError `too-many-links`. */
  open(bound: Bound): WebSocket {
    const { sockets, now } = this.#parts;
    const pair = new WebSocketPair();
    const server = pair[1];
    const { hostId, generation, tokenId, expiresAt } = bound;
    const expiring = expiresAt === undefined ? [] : [expiringTag];
    try {
      sockets.acceptWebSocket(server, [hostId, tokenTag(tokenId), lifeTag(generation), ...expiring]);
    } catch (cause) {
      const message = "this resolver has as many links as it takes; renew over HTTP";
      throw new BerthError("too-many-links", message, { retryable: true, cause });
    }
    server.serializeAttachment({ ...bound, openedAt: now() } satisfies Attachment);
    if (expiresAt !== undefined) this.#nextExpiry = Math.min(this.nextExpiry(), expiresAt);
    this.#endOldest(hostId, server);
    this.#tell(server);
    return pair[0];
  }

  /** What the links of one host, or all links, do for leases. */
  *signs(hostId?: string): Generator<LinkSign> {
    for (const [socket, attachment] of this.#open(hostId)) yield this.#signOf(socket, attachment);
  }

  /** Tells the hosts' links what they are granted now, and ends those of a process that speaks for its host no more. */
  hostsChanged(hostIds: string[]): void {
    for (const hostId of hostIds) for (const [socket] of this.#open(hostId)) this.#tell(socket);
  }

  /** Ends links that were opened in another life of the registry than this one. */
  endOthersThan(generation: string): void {
    const { sockets } = this.#parts;
    // With every wake, so it has to cost little while all is well.
    if (sockets.getWebSockets().length === sockets.getWebSockets(lifeTag(generation)).length) return;
    for (const [socket, attachment] of this.#open())
      if (attachment.generation !== generation) this.#end(socket, closing.superseded);
  }

  closeToken(tokenId: string): void {
    for (const [socket] of this.#open(tokenTag(tokenId))) this.#end(socket, closing.token);
  }

  /** Ends the links whose token expired. */
  closeExpired(): void {
    const now = this.#parts.now();
    if (now < this.nextExpiry()) return;
    for (const [socket, { expiresAt = Number.POSITIVE_INFINITY }] of this.#open(expiringTag))
      if (expiresAt <= now) this.#end(socket, closing.token);
    this.#nextExpiry = undefined;
  }

  /** When `closeExpired` has something to do; Infinity for never. */
  nextExpiry(): number {
    this.#nextExpiry ??= [...this.#open(expiringTag)].reduce(
      (least, [, { expiresAt = least }]) => Math.min(least, expiresAt),
      Number.POSITIVE_INFINITY,
    );
    return this.#nextExpiry;
  }

  /** A client says nothing but pings, which never come this far. */
  heard(socket: WebSocket): void {
    this.#end(socket, closing.unknownMessage);
  }

  /** The client is gone, or said so. */
  closed(socket: WebSocket): void {
    this.#end(socket, goodbye);
  }

  *#open(tag?: string): Generator<[WebSocket, Attachment]> {
    for (const socket of this.#parts.sockets.getWebSockets(tag)) {
      const attachment = attachmentOf(socket);
      if (attachment !== undefined && !attachment.ended) yield [socket, attachment];
    }
  }

  #endOldest(hostId: string, newest: WebSocket): void {
    const others = [...this.#open(hostId)].filter(([socket]) => socket !== newest);
    const byAge = others.toSorted(([, a], [, b]) => b.openedAt - a.openedAt);
    for (const [socket] of byAge.slice(maxPerHost - 1)) this.#end(socket, closing.replaced);
  }

  #tell(socket: WebSocket): void {
    const attachment = attachmentOf(socket);
    const news = attachment === undefined ? undefined : this.#parts.grantFor(attachment);
    if (attachment === undefined || news === undefined) {
      this.#end(socket, closing.superseded);
      return;
    }
    if (news.lease !== attachment.lease) socket.serializeAttachment({ ...attachment, lease: news.lease });
    try {
      socket.send(JSON.stringify(news));
    } catch (fault) {
      // Its close is told separately.
      this.#parts.log.debug(`link of ${attachment.hostId}: ${describeFault(fault)}`);
    }
  }

  #end(socket: WebSocket, [code, reason]: Ending): void {
    const attachment = attachmentOf(socket);
    if (attachment === undefined || attachment.ended) return;
    this.#settle(socket, attachment);
    try {
      socket.close(code, reason);
    } catch (fault) {
      this.#parts.log.debug(`link of ${attachment.hostId}: ${describeFault(fault)}`);
    }
  }

  /** From here on it does nothing for its lease but what it did. */
  #settle(socket: WebSocket, attachment: Attachment): void {
    if (attachment.ended) return;
    this.#parts.settle(this.#signOf(socket, attachment));
    socket.serializeAttachment({ ...attachment, ended: true } satisfies Attachment);
  }

  #signOf(socket: WebSocket, { hostId, epoch, generation, lease, ...about }: Attachment): LinkSign {
    const pingedAt = this.#parts.sockets.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
    const heardAt = Math.min(Math.max(pingedAt, about.openedAt), about.expiresAt ?? Number.POSITIVE_INFINITY);
    return { hostId, epoch, generation, until: heardAt + lease * 1000 };
  }
}

function attachmentOf(socket: WebSocket): Attachment | undefined {
  return (socket.deserializeAttachment() as Attachment | null) ?? undefined;
}

function tokenTag(tokenId: string): string {
  return `token ${tokenId}`;
}

function lifeTag(generation: string): string {
  return `life ${generation}`;
}
