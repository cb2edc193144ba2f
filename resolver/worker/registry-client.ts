import { changesPath } from "../../shared/changes.ts";
import { BerthError } from "../../shared/errors.ts";
import type { Access } from "../access.ts";
import type { AuditLog } from "../audit.ts";
import type { LinkRequest } from "../routes/link.ts";
import type { RegistryObject } from "../store/durable-object.ts";
import type { BindingStore, TurnOutcome } from "../store.ts";
import type { TokenTable } from "../token-table.ts";

/** What came of a request for a link: its reply when it was accepted. */
export type Upgrade = { kind: "opened"; response: Response } | Exclude<TurnOutcome, { kind: "accepted" }>;

/** Why the object opens no link although the turn was good. Its token was revoked or expired meanwhile, or there are too many links. */
export interface RefusedLink {
  kind: "refused";
  code: string;
  message: string;
  who: string;
  retryable: boolean;
}

/** The registry object as the Worker reaches it. When it cannot, a BerthError `store-unavailable` is thrown. */
export interface RegistryClient {
  store: BindingStore;
  tokenTable: TokenTable;
  audit: AuditLog;
  /** Has a link judged as a renewal, and opened if that is accepted. Throws the BerthError of a token that is no longer good. */
  openLink(asked: LinkRequest): Promise<Upgrade>;
  /** Has the change feed opened for whoever `access` is. */
  openFeed(request: Request, access: Access): Promise<Response>;
}

/** Where the object looks for what the Worker says about a request; clients' own header fields never get there. */
export const askedField = "berth-asked";
/** Requests to the object have no host; the name only has to be one. */
export const objectUrl = "https://registry.invalid";
export const linkPath = "/link";

type Stub = DurableObjectStub<RegistryObject>;

/** `stubOf` gives a stub anew each time, because one that saw a fault stays broken. */
export function createRegistryClient(stubOf: () => Stub): RegistryClient {
  async function ask<T>(request: (stub: Stub) => Promise<T>): Promise<T> {
    try {
      return await request(stubOf());
    } catch (fault) {
      throw faultOf(fault);
    }
  }
  return {
    store: {
      push: (hostId, push, access) => ask(async (stub) => stub.push(hostId, push, access)),
      pushDelta: (hostId, delta, access) => ask(async (stub) => stub.pushDelta(hostId, delta, access)),
      renew: (hostId, renewal, access) => ask(async (stub) => stub.renew(hostId, renewal, access)),
      withdraw: (hostId, turn, access) => ask(async (stub) => stub.withdraw(hostId, turn, access)),
      hosts: () => ask(async (stub) => stub.hosts()),
      services: (names) => ask(async (stub) => stub.services(names)),
      names: () => ask(async (stub) => stub.names()),
      releaseName: (name, access) => ask(async (stub) => stub.releaseName(name, access)),
      read: (owner) => ask(async (stub) => stub.read(owner)),
    },
    tokenTable: {
      find: (id) => ask(async (stub) => stub.findToken(id)),
      list: () => ask(async (stub) => stub.listTokens()),
      put: (record, entry) => ask(async (stub) => stub.putToken(record, entry)),
      revoke: (id, now, entry) => ask(async (stub) => stub.revokeToken(id, now, entry)),
    },
    audit: {
      record: (entries) => ask(async (stub) => stub.recordAudit(entries)),
      list: (limit, before) => ask(async (stub) => stub.listAudit(limit, before)),
    },
    async openLink(asked) {
      const headers = { upgrade: "websocket", [askedField]: encodeAsked(asked) };
      const response = await ask((stub) => stub.fetch(`${objectUrl}${linkPath}`, { headers }));
      if (response.webSocket !== null) return { kind: "opened", response };
      const outcome = await response.json<Exclude<TurnOutcome, { kind: "accepted" }> | RefusedLink>();
      if (outcome.kind !== "refused") return outcome;
      const { code, message, who, retryable } = outcome;
      throw new BerthError(code, message, { who, retryable });
    },
    openFeed({ method, headers, url, signal }, access) {
      const lastId = headers.get("last-event-id");
      const own = {
        [askedField]: encodeAsked(access),
        ...(lastId === null ? {} : { "last-event-id": lastId }),
      };
      const { search } = new URL(url);
      return ask((stub) =>
        stub.fetch(`${objectUrl}${changesPath}${search}`, { method, headers: own, signal }),
      );
    },
  };
}

/** What the runtime says about a fault of a call to an object. */
interface PlatformMarks {
  retryable?: unknown;
  overloaded?: unknown;
  durableObjectReset?: unknown;
  /** Thrown by the object's own code. */
  remote?: unknown;
}

/** A header field takes no more than ASCII, and owners may be called anything. */
function encodeAsked(asked: object): string {
  return encodeURIComponent(JSON.stringify(asked));
}

/** What the Worker said about a request. */
export function decodeAsked<T>(request: Request): T {
  return JSON.parse(decodeURIComponent(request.headers.get(askedField) ?? "")) as T;
}

/**
 * What the object's own code threw is a fault of ours; all else means that it could not be reached. The platform's marks come first: an
 * object that is overloaded or was reset can seem to have thrown that itself.
 */
function faultOf(fault: unknown): unknown {
  const marks = (fault instanceof Error ? fault : {}) as PlatformMarks;
  const isPlatforms = [marks.retryable, marks.overloaded, marks.durableObjectReset].includes(true);
  if (!isPlatforms && marks.remote === true) return fault;
  const message = "the registry object does not answer; try again";
  return new BerthError("store-unavailable", message, { retryable: true, cause: fault });
}
