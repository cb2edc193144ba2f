import type { Destination } from "../../client/answers/destination.ts";
import { parseAddress } from "../../shared/address.ts";

/** What a request line names: where to go, and what to ask there. */
export interface HttpTarget {
  destination: Destination;
  /** As the Host field has it: host, and port where the client wrote one. */
  authority: string;
  /** The request target in origin-form, as the client wrote it. */
  path: string;
}

/** Not an `HttpTarget`; `fault` says what is wrong and what would be right. */
export interface NoTarget {
  fault: string;
}

const httpPort = 80;

/**
 * The target of a request in absolute-form (RFC 9112 §3.2.2). Nothing is normalised: what this proxy understands and what the server
 * behind it reads must be the same text. The text of an address other than its usual one stays a name, and is judged as what it leads to.
 */
export function absoluteTarget(method: string, requestTarget: string): HttpTarget | NoTarget {
  const match = /^http:\/\/([^/?#]*)([^#]*)$/i.exec(requestTarget);
  if (match === null) return { fault: noAbsoluteForm(requestTarget) };
  const [, authority = "", rest = ""] = match;
  const destination = destinationFrom(authority, httpPort);
  // It may have a password in it, which is not repeated.
  if (authority.includes("@"))
    return { fault: "a name and a password belong into fields, not before the host" };
  if (destination === undefined)
    return { fault: `"${authority}" is no host and port, such as web.berth.internal:8080` };
  return { destination, authority, path: pathFrom(method, rest) };
}

/** The target of a CONNECT request (RFC 9110 §9.3.6): host and port. */
export function connectTarget(requestTarget: string): HttpTarget | NoTarget {
  const destination = destinationFrom(requestTarget, undefined);
  if (destination !== undefined) return { destination, authority: requestTarget, path: "" };
  return { fault: `CONNECT takes host:port, such as web.berth.internal:443, not "${requestTarget}"` };
}

/** RFC 9112 §3.2.1 and §3.2.4. */
function pathFrom(method: string, rest: string): string {
  if (rest === "") return method === "OPTIONS" ? "*" : "/";
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function destinationFrom(authority: string, standardPort: number | undefined): Destination | undefined {
  const match = /^(?:\[([^\][]+)\]|([^:@[\]\\\s\p{Cc}]+))(?::(\d{0,5}))?$/u.exec(authority);
  if (match === null) return undefined;
  const [, bracketed, host = "", portText = ""] = match;
  const port = portText === "" ? standardPort : Number(portText);
  if (port === undefined || port < 1 || port > 65_535) return undefined;
  const address = parseAddress(bracketed ?? host);
  if (address !== undefined) return { kind: "address", address, port };
  return bracketed === undefined ? { kind: "name", name: host, port } : undefined;
}

function noAbsoluteForm(requestTarget: string): string {
  if (/^https:/i.test(requestTarget)) return "for https a proxy is asked with CONNECT host:443";
  if (/^[a-z][a-z0-9+.-]*:/i.test(requestTarget)) return "this proxy knows http:// and CONNECT only";
  return "this is a proxy, not a web site: set it as the proxy of a program, or ask for http://name/";
}
