import type { Handler } from "hono";

import { messageFromRequest, responseFromMessage } from "../../shared/dns/doh.ts";
import { decodeQuery, encodeResponse } from "../../shared/dns/message.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { type Answer, type Apex, completeAnswer, failedAnswer, startAnswer } from "../answer.ts";
import type { ZoneReader } from "../zone/zone.ts";

export interface DnsQueryParts {
  apex: Apex;
  zone: ZoneReader;
  log: Log;
}

/** GET and POST /dns-query (RFC 8484). Malformed requests throw; every rcode is a 200. */
export function dnsQuery(parts: DnsQueryParts): Handler {
  return async (context) => {
    const query = decodeQuery(await messageFromRequest(context.req.raw));
    const fresh = asksPastCopies(context.req.raw.headers);
    const started = startAnswer(parts.apex, query);
    const answer = "parts" in started ? started : await readAnswer(parts, query, started.owner, fresh);
    return responseFromMessage(encodeResponse(query, answer.parts), answer.maxAge);
  };
}

/** Whether a request asks past every copy of the zone (RFC 9111 §5.2.1.4). */
export function asksPastCopies(headers: Headers): boolean {
  return /\bno-(cache|store)\b/i.test(headers.get("cache-control") ?? "");
}

async function readAnswer(
  { apex, zone, log }: DnsQueryParts,
  query: ReturnType<typeof decodeQuery>,
  owner: Apex["zone"],
  fresh: boolean,
): Promise<Answer> {
  try {
    return completeAnswer(apex, query, owner, await zone.read(owner, fresh));
  } catch (fault) {
    log.error(`cannot answer: ${describeFault(fault)}`);
    return failedAnswer();
  }
}
