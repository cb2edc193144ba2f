import { destinationText } from "../log-line.ts";
import { judgedResolve, judgeFor } from "../policy/judged.ts";
import { lookupPort } from "../policy/policy-rules.ts";
import { refuse } from "../refusal.ts";
import { endConnection } from "../relay/connection-end.ts";
import type { ServedConnection } from "../served-connection.ts";
import type { ConnectionContext } from "../server.ts";
import { serveAssociation } from "../udp/udp-association.ts";
import type { ClientRequest } from "./handshake.ts";
import { answerResolve } from "./resolve-command.ts";

/** UDP ASSOCIATE (RFC 1928 §7). Resolves when the connection it was asked for on is closed. */
export async function serveUdp(
  connection: ServedConnection,
  request: ClientRequest,
  context: ConnectionContext,
): Promise<void> {
  const { stub, udp, counts, log } = context;
  const resolve = judgedResolve(stub, judgeFor(connection.client, context.policy, stub));
  const ports = {
    ...udp,
    stub: { resolve },
    moved(direction: "bytesUp" | "bytesDown", octets: number): void {
      connection.octetsBeside += octets;
      counts[direction] += octets;
    },
  };
  const end = await serveAssociation(connection.channel, request.destination, ports);
  if (end.kind !== "ended") return refuse(connection, request, end, context);
  counts.granted++;
  const dropped = Object.entries(end.counts.dropped).map(([reason, count]) => `, ${count} ${reason}`);
  log.debug(`UDP association: ${end.counts.up} datagrams up, ${end.counts.down} down${dropped.join("")}`);
  return endConnection(connection.channel);
}

/** Tor's RESOLVE and RESOLVE_PTR. Resolves when the connection is closed. */
export async function serveLookup(
  connection: ServedConnection,
  request: ClientRequest,
  context: ConnectionContext,
): Promise<void> {
  const { stub, standIns, reverse, times, counts, log } = context;
  const judgement = judgeFor(connection.client, context.policy, stub);
  // torsocks sends 42, Tor's own program 0; it is no port anybody goes to.
  const destination = { ...request.destination, port: lookupPort };
  const denied = destination.kind === "name" ? judgement.before(destination) : undefined;
  if (denied !== undefined) return refuse(connection, request, denied, context);
  const resolve = judgedResolve(stub, judgement);
  const outcome = await answerResolve(
    { ...request, destination },
    {
      stub: {
        resolve,
        zoneOf: (text) => stub.zoneOf(text),
        portsOf: (name, question) => stub.portsOf(name, question),
      },
      standIns,
      reverse,
      signal: AbortSignal.timeout(times.resolve),
    },
  );
  if (outcome.kind !== "resolved") return refuse(connection, request, outcome, context);
  counts.granted++;
  log.debug(`${destinationText(request.destination)} resolved: ${outcome.text}`);
  return endConnection(connection.channel, outcome.reply);
}
