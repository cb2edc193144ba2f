import type { PushReply } from "../../shared/binding.ts";
import { BerthError } from "../../shared/errors.ts";
import type { Access } from "../access.ts";
import { hostIdFrom, renewalFromUpgrade } from "../signed-request.ts";
import type { BindingStore } from "../store.ts";
import type { TokenCheck } from "../tokens.ts";
import { replyOf } from "../turn-outcome.ts";
import { bearerToken } from "./lookup.ts";

export interface LinkJudgeParts {
  store: Pick<BindingStore, "renew">;
  tokens: TokenCheck;
  publicPath?: string;
}

/** What a link was asked for, and what its host is granted. */
export interface JudgedLink {
  hostId: string;
  epoch: number;
  generation: string;
  access: Access;
  reply: PushReply;
}

/**
 * Judges `GET /v1/hosts/{hostId}/link` as a renewal is judged: token, signature, digest and epoch. Throws the BerthError that the reply
 * in place of the upgrade is made of.
 */
export async function judgeLink(request: Request, parts: LinkJudgeParts): Promise<JudgedLink> {
  const { store, tokens, publicPath = "" } = parts;
  const token = bearerToken(request.headers);
  if (token === undefined) throw new BerthError("unknown-token", 'send "authorization: Bearer <token>"');
  const access = await tokens.check(token);
  if (access.kind !== "agent") {
    const message = `a token of kind ${access.kind} may not speak for a host; an agent's token may`;
    throw new BerthError("token-not-allowed", message);
  }
  const hostId = hostIdFrom(/^\/v1\/hosts\/([^/]+)\/link$/.exec(new URL(request.url).pathname)?.[1]);
  const renewal = await renewalFromUpgrade(request, hostId, publicPath);
  const reply = replyOf(await store.renew(hostId, renewal, access));
  return { hostId, epoch: renewal.epoch, generation: renewal.generation, access, reply };
}
