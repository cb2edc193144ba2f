import { formatEndpoint } from "../../shared/address.ts";
import type { Log } from "../../shared/log.ts";
import { displayName, type Name } from "../../shared/name.ts";
import { createLineLimit } from "../line-limit.ts";
import type { Listener, PortAt, PortOpener } from "./open-ports.ts";
import { type Problem, portProblem, problemText, servicePortText } from "./port-fault.ts";
import { findPortHolder, rememberHolders } from "./port-holder.ts";
import type { TcpClients } from "./tcp-clients.ts";
import { openTcpPort, type TcpPortPorts } from "./tcp-port.ts";
import { openUdpPort, type UdpService } from "./udp-port.ts";

export interface PortOpenerPorts {
  tcp: TcpClients;
  udp: UdpService;
  isLocal: TcpPortPorts["isLocal"];
  onConnection: (name: Name) => void;
  log: Log;
  now: () => number;
}

/** One program that takes a port everywhere takes it from every name: its first lines say enough. */
const mostLines = 10;
const minuteMs = 60_000;
/** Ports whose failure was told, so that their mending is. */
const mostTold = 10_000;

/** Opens ports, or says in the log and in its result what keeps them shut. */
export function createPortOpener(ports: PortOpenerPorts): PortOpener {
  const { log } = ports;
  const admit = createLineLimit(mostLines, ports.now, minuteMs);
  const told = new Set<string>();
  const about = {
    find: rememberHolders(findPortHolder, ports.now),
    elsewhere: "another range with --transparent-range",
  };

  function tell(name: Name, at: PortAt, problem: Problem | undefined): void {
    const key = `${name} ${at.protocol} ${at.address} ${at.port}`;
    if (problem === undefined) {
      if (told.delete(key)) log.info(`${servicePortText(name, at.protocol, at.port)} is served now`);
      return;
    }
    if (told.has(key)) return;
    if (told.size >= mostTold) told.clear();
    told.add(key);
    const line = admit(problemText(problem));
    if (line !== undefined) log.warn(line);
  }

  return async function open(name, at) {
    try {
      const listener = await openPort(name, at, ports);
      tell(name, at, undefined);
      return { listener };
    } catch (fault) {
      const problem = await problemOf(servicePortText(name, at.protocol, at.port), at, fault, about);
      tell(name, at, problem);
      return { problem };
    }
  };
}

/** Why nothing can listen there. `elsewhere` is what can be chosen instead of an address that another program has. */
export async function problemOf(
  what: string,
  at: PortAt,
  fault: unknown,
  { find = findPortHolder, elsewhere }: { find?: typeof findPortHolder; elsewhere?: string } = {},
): Promise<Problem> {
  const code = fault instanceof Error && "code" in fault ? String(fault.code) : String(fault);
  const holder = code === "EADDRINUSE" ? await find(at.protocol, at.address, at.port) : undefined;
  return portProblem(what, at, code, { program: process.execPath, holder, elsewhere });
}

function openPort(name: Name, at: PortAt, ports: PortOpenerPorts): Promise<Listener> {
  const { tcp, udp, isLocal, onConnection, log } = ports;
  if (at.protocol === "udp") return openUdpPort(name, at, udp);
  return openTcpPort(at, {
    isLocal,
    accept(socket) {
      onConnection(name);
      tcp.accept(socket, name, at.port);
    },
    fault(fault) {
      log.warn(
        `a client of ${displayName(name)} at ${formatEndpoint(at)} could not be accepted: ${fault.message}`,
      );
    },
  });
}
