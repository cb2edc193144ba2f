import { formatEndpoint } from "../../shared/address.ts";
import type { Protocol } from "../../shared/dns/endpoints.ts";
import { displayName, type Name } from "../../shared/name.ts";

/** Something that does not work, and what a person can do about it. */
export interface Problem {
  /** What it concerns: a service port, or the DNS stub. */
  what: string;
  fault: string;
  mend: string;
}

/** Another program's socket. */
export interface PortHolder {
  address: string;
  port: number;
  /** As the kernel calls it; absent when this process may not see whose it is. */
  program?: string;
}

/** The first port that needs no permission, unless the system says otherwise. */
const firstFreePort = 1024;

/** What is known beside the errno. */
export interface PortFaultFacts {
  /** The file of this process's own program. */
  program: string;
  holder?: PortHolder | undefined;
  /** What can be chosen, and by which flag, instead of an address that another program has. */
  elsewhere?: string | undefined;
}

/** Why a port could not be listened at. `errno` as Node names it. */
export function portProblem(
  what: string,
  at: { protocol: Protocol; address: string; port: number },
  errno: string,
  known: PortFaultFacts,
): Problem {
  const where = formatEndpoint(at);
  switch (errno) {
    case "EACCES":
    case "EPERM":
      return {
        what,
        fault: `${at.protocol} ${where}: ports below ${firstFreePort} need a permission`,
        mend: `run berth's system unit; or "setcap cap_net_bind_service=+ep ${known.program}"; or, for every program of this machine, "sysctl -w net.ipv4.ip_unprivileged_port_start=0"`,
      };
    case "EADDRINUSE":
      return { what, ...inUse(at, where, known) };
    case "EMFILE":
    case "ENFILE":
      return {
        what,
        fault: `${at.protocol} ${where}: this process may open no more files`,
        mend: "raise LimitNOFILE= of the unit, or ulimit -n of the shell",
      };
    case "EADDRNOTAVAIL":
      return {
        what,
        fault: `${at.protocol} ${where}: the address is not one of this machine's`,
        mend: `let it be: "ip route add local ${at.address} dev lo" and, for IPv6, "sysctl -w net.ipv6.ip_nonlocal_bind=1"`,
      };
    default:
      return { what, fault: `${at.protocol} ${where}: ${errno}`, mend: "see what the system's log says" };
  }
}

/** How a service port is called in a log. */
export function servicePortText(name: Name, protocol: Protocol, port: number): string {
  return `${displayName(name)} ${protocol}/${port}`;
}

export function problemText({ what, fault, mend }: Problem): string {
  return `${what} cannot be served: ${fault}; ${mend}`;
}

function inUse(
  at: { protocol: Protocol; address: string; port: number },
  where: string,
  { holder, elsewhere }: PortFaultFacts,
): Omit<Problem, "what"> {
  const who = holder?.program ?? "another program";
  if (holder === undefined || holder.address === at.address) {
    return {
      fault: `${who} has ${at.protocol} ${where} already`,
      mend: elsewhere === undefined ? "end it" : `end it, or choose ${elsewhere}`,
    };
  }
  return {
    fault: `${who} has ${at.protocol} ${formatEndpoint(holder)}, which takes the port at every address of this machine, ${where} among them`,
    mend: `let it listen at the addresses it is meant for, such as 127.0.0.1:${at.port}`,
  };
}
