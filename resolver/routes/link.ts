import type { PushReply, Renewal } from "../../shared/binding.ts";
import { BerthError } from "../../shared/errors.ts";
import type { Access } from "../access.ts";
import { hostIdFrom, renewalFromUpgrade } from "../signed-request.ts";
import type { BindingStore } from "../store.ts";
import type { TokenCheck } from "../tokens.ts";
import { replyOf } from "../turn-outcome.ts";
import { bearerToken } from "./lookup.ts";

export interface LinkReadParts {
  tokens: TokenCheck;
  /** Told whose token it is as soon as that is known, for the record of a request that is then refused. */
  onAccess?: (access: Access) => void;
  publicPath?: string;
}

export interface LinkJudgeParts extends LinkReadParts {
  store: Pick<BindingStore, "renew">;
}

/** The renewal a request for a link stands for, with a good token and signature; nobody has judged its turn yet. */
export interface LinkRequest {
  hostId: string;
  renewal: Renewal;
  access: Access;
}

/** What a link was asked for, and what its host is granted. */
export interface JudgedLink {
  hostId: string;
  epoch: number;
  generation: string;
  access: Access;
  reply: PushReply;
}

/** Reads `GET /v1/hosts/{hostId}/link`. Throws the BerthError of a token or signature that will not do. */
export async function readLinkRequest(request: Request, parts: LinkReadParts): Promise<LinkRequest> {
  const { tokens, publicPath = "" } = parts;
  const token = bearerToken(request.headers);
  if (token === undefined) throw new BerthError("unknown-token", 'send "authorization: Bearer <token>"');
  const access = await tokens.check(token);
  parts.onAccess?.(access);
  if (access.kind !== "agent") {
    const message = `a token of kind ${access.kind} may not speak for a host; an agent's token may`;
    throw new BerthError("token-not-allowed", message);
  }
  const hostId = hostIdFrom(/^\/v1\/hosts\/([^/]+)\/link$/.exec(new URL(request.url).pathname)?.[1]);
  return { hostId, renewal: await renewalFromUpgrade(request, hostId, publicPath), access };
}

/**
 * Judges `GET /v1/hosts/{hostId}/link` as a renewal is judged: token, signature, digest and epoch. Throws the BerthError that the reply
 * in place of the upgrade is made of.
 */
export async function judgeLink(request: Request, parts: LinkJudgeParts): Promise<JudgedLink> {
  const { hostId, renewal, access } = await readLinkRequest(request, parts);
  const reply = replyOf(await parts.store.renew(hostId, renewal, access));
  // A token revoked meanwhile had no link yet to be closed.
  await parts.tokens.check(bearerToken(request.headers) ?? "");
  return { hostId, epoch: renewal.epoch, generation: renewal.generation, access, reply };
}
