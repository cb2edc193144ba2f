import { destinationText, refusalText } from "./log-line.ts";
import { endConnection } from "./relay/connection-end.ts";
import type { ServedConnection } from "./served-connection.ts";
import type { ConnectionContext } from "./server.ts";
import type { ClientRequest } from "./socks/handshake.ts";
import { type Refusal, refused } from "./socks/reply.ts";

/** Tells the client why not, in its own protocol, and the log, and ends the connection. Resolves when it is closed. */
export async function refuse(
  { channel }: ServedConnection,
  { protocol, destination }: ClientRequest,
  refusal: Refusal,
  context: ConnectionContext,
): Promise<void> {
  const shown = destinationText(destination);
  // Steps that the client's leaving cut short report a refusal as well.
  if (channel.socket.destroyed) context.log.debug(`${shown}: the client left before a reply`);
  else logRefusal(shown, refusal, context);
  await endConnection(channel, refused(protocol, refusal));
}

/** One line for a request that was not granted, of whatever protocol, and its place in the counts. */
export function logRefusal(
  shown: string,
  refusal: Refusal,
  { log, lineLimits, counts }: Pick<ConnectionContext, "log" | "lineLimits" | "counts">,
): void {
  counts.refuse(refusal.kind);
  const admit = refusal.kind === "no-token" ? lineLimits.noToken : lineLimits.refused;
  const line = admit(`${shown} refused: ${refusalText(refusal)}`);
  if (line === undefined) return;
  // A client that asks for ports a name does not have is ordinary; the line is for its user.
  if (refusal.kind === "port-not-published") log.info(line);
  else log.warn(line);
}
