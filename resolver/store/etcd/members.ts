import { setTimeout as pause } from "node:timers/promises";
import type { Log } from "../../../shared/log.ts";
import {
  authFault,
  faultFromRefusal,
  MemberFault,
  roundFault,
  StaleTokenFault,
  uncertainFault,
} from "./faults.ts";
import { isRefusal, parseReply, refusalFrom } from "./replies.ts";
import { type Credentials, createTokens } from "./tokens.ts";
import type { Stream, Transport } from "./transport.ts";

export interface MembersOptions extends Credentials {
  urls: string[];
  /** For one request at one member, its connection included. */
  timeoutMs: number;
  log: Log;
}

export interface Request {
  path: string;
  body: object;
  /** Carrying it out twice is as good as once. */
  isRepeatable: boolean;
  /** The member may answer from what it holds, without asking the others. */
  isLocal?: boolean;
}

/** etcd's members as one: requests go to the one that worked last, and to the others when it does not. */
export interface Members {
  /** Where requests go now. */
  preferred(): string;
  /** The member to try after `url`. */
  after(url: string): string;
  /**
   * The reply's JSON. Rejects with `etcd-unavailable` when no member could be asked, with `etcd-uncertain` when one may have carried out what must
   * not be repeated, else with what the member said. While there is no leader it asks again, for as long as one request may take.
   */
  call(request: Request): Promise<unknown>;
  /** As `call`, but of this member only; rejects with a MemberFault where another may do better. */
  ask(url: string, request: Request): Promise<unknown>;
  /** Opens a reply that goes on, at this member. `token` names what to renew when the reply turns out to be a refusal. */
  open(url: string, path: string, body: object): Promise<{ stream: Stream; token: string }>;
  /** Has a new token made at this member, unless somebody did since `token` was in use. */
  renewToken(url: string, token: string): Promise<string>;
  readonly user: string | undefined;
}

const betweenRoundsMs = 200;

export function createMembers(transport: Transport, options: MembersOptions): Members {
  const { urls, user, timeoutMs, log } = options;
  const tokens = createTokens(transport, options, timeoutMs);
  let preferred = 0;

  async function ask(url: string, request: Request): Promise<unknown> {
    let token = await tokens.current(url);
    for (let attempt = 1; ; attempt++) {
      const headers = headersFor(token, request.isLocal === true);
      const { path, body } = request;
      const reply = await transport.exchange(url, { path, body, headers, timeoutMs });
      const value = reply.status === 200 ? parseReply(url, reply.text) : undefined;
      // A streaming call (keep-alive is one) can fail after its status line has gone out.
      if (value !== undefined && !isRefusal(value)) return value;
      const fault = faultFromRefusal(url, refusalFrom(reply.status, reply.text), user);
      if (!(fault instanceof StaleTokenFault)) throw fault;
      if (attempt > 1 || user === undefined) throw authFault(url, fault.message, user);
      token = await tokens.renew(url, token);
    }
  }

  /** Every member once, beginning with the preferred one. Its value, or what each of them said. */
  async function round(request: Request): Promise<{ reply: unknown } | { faults: MemberFault[] }> {
    const faults: MemberFault[] = [];
    const first = preferred;
    for (let step = 0; step < urls.length; step++) {
      const index = (first + step) % urls.length;
      const url = urls[index] ?? "";
      try {
        const reply = await ask(url, request);
        if (step > 0) prefer(index, faults);
        return { reply };
      } catch (fault) {
        if (!(fault instanceof MemberFault)) throw fault;
        faults.push(fault);
        if (request.isRepeatable || fault.unapplied) continue;
        prefer((index + 1) % urls.length, faults);
        throw uncertainFault(fault);
      }
    }
    return { faults };
  }

  function prefer(index: number, faults: MemberFault[]): void {
    if (index === preferred) return;
    log.warn(`etcd at ${urls[preferred]} does not serve (${faults[0]?.message}): asking ${urls[index]}`);
    preferred = index;
  }

  return {
    preferred: () => urls[preferred] ?? "",
    after: (url) => urls[(urls.indexOf(url) + 1) % urls.length] ?? url,
    async call(request) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const outcome = await round(request);
        if ("reply" in outcome) return outcome.reply;
        const isElecting = outcome.faults.some(({ leaderless }) => leaderless);
        if (!isElecting || Date.now() >= deadline) throw roundFault(outcome.faults);
        await pause(betweenRoundsMs);
      }
    },
    ask,
    async open(url, path, body) {
      const token = await tokens.current(url);
      const headers = headersFor(token, false);
      const stream = await transport.stream(url, { path, body, headers, timeoutMs });
      return { stream, token };
    },
    renewToken: (url, token) => tokens.renew(url, token),
    user,
  };
}

function headersFor(token: string, isLocal: boolean): Record<string, string> {
  // The gateway hands grpc-metadata-* on to etcd, which then refuses at once, or ends the stream, while its member knows no leader.
  const leader: Record<string, string> = isLocal ? {} : { "grpc-metadata-hasleader": "true" };
  return token === "" ? leader : { ...leader, authorization: token };
}
