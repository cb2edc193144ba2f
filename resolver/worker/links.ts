import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { replyToFault } from "../faults.ts";
import { checkLinkProtocol, linkProtocol } from "../link-protocol.ts";
import { entryOfRefusal, type RefusalAudit } from "../refusal-audit.ts";
import { type LinkReadParts, readLinkRequest } from "../routes/link.ts";
import { faultOfOutcome } from "../turn-outcome.ts";
import type { RegistryClient } from "./registry-client.ts";

export interface WorkerLinksParts extends LinkReadParts {
  registry: Pick<RegistryClient, "openLink">;
  refusals: Pick<RefusalAudit, "note">;
  now: () => number;
  log: Log;
}

const route = /^\/v1\/hosts\/([^/]+)\/link$/;

/** Whether this is a request for a link; any other is the app's. */
export function isLinkRequest(request: Request): boolean {
  const isWebSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  return isWebSocket && route.test(new URL(request.url).pathname);
}

/** The upgrade, or the reply in its place: token and signature are judged here, the turn in the object that keeps the link. */
export async function openWorkerLink(request: Request, parts: WorkerLinksParts): Promise<Response> {
  try {
    checkLinkProtocol(request.headers.get("sec-websocket-protocol"));
    const outcome = await parts.registry.openLink(await readLinkRequest(request, parts));
    if (outcome.kind !== "opened") throw faultOfOutcome(outcome);
    const { status, webSocket } = outcome.response;
    return new Response(null, { status, webSocket, headers: { "sec-websocket-protocol": linkProtocol } });
  } catch (fault) {
    noteRefusal(request, fault, parts);
    return replyToFault(fault, () => parts.log.error(`link: ${describeFault(fault)}`));
  }
}

function noteRefusal(request: Request, fault: unknown, { refusals, now }: WorkerLinksParts): void {
  const hostId = route.exec(new URL(request.url).pathname)?.[1] ?? "";
  const refused = { method: "GET", route: "/v1/hosts/:hostId/link", params: { hostId }, access: undefined };
  const entry = entryOfRefusal(fault, refused, Math.floor(now()));
  if (entry !== undefined) refusals.note(entry);
}
