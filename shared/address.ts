import { z } from "zod";

/** An IP address in its one canonical text form: dotted quad, or IPv6 as RFC 5952 writes it, without a zone id. */
export type Address = string & z.BRAND<"Address">;
export type AddressFamily = 4 | 6;

/** The source port of a datagram whose sender wants no answer (RFC 768). Node throws when one is sent there. */
export const noPort = 0;

const ipv4 = z.ipv4();
const ipv6 = z.ipv6();
/** Most texts that are looked at are names: finding that out by the schemas costs more than all else a connection to a name needs. */
const mayBeAddress = /^(?:[\d.]+|[\da-f.]*:[\da-f:.]*)$/i;

/** Returns the canonical form, or undefined when `text` is not an IP address. An IPv4-mapped IPv6 address becomes its IPv4 one. */
export function parseAddress(text: string): Address | undefined {
  if (!mayBeAddress.test(text)) return undefined;
  if (ipv4.safeParse(text).success) return text as Address;
  if (!ipv6.safeParse(text).success) return undefined;
  // The URL parser's IPv6 serialiser is the one implementation of RFC 5952 §4 that every runtime has.
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  return (ipv4OfMapped(canonical) ?? canonical) as Address;
}

export const addressSchema = z.string().transform((text, context) => {
  const address = parseAddress(text);
  if (address !== undefined) return address;
  context.addIssue({ code: "custom", message: `"${text}" is not an IP address` });
  return z.NEVER;
});

export function familyOf(address: Address): AddressFamily {
  return address.includes(":") ? 6 : 4;
}

/** 127.0.0.0/8 (RFC 1122 §3.2.1.3) and ::1 (RFC 4291 §2.5.3). */
export function isLoopback(address: Address): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** 0.0.0.0 and ::, which a listener means as "every address of this family" and no client can connect to. */
export function isUnspecified(address: Address): boolean {
  return address === "0.0.0.0" || address === "::";
}

/**
 * Whether a client on another machine, or this one, could connect to it at all: not "every address", not multicast or broadcast, and not
 * link-local, which means another machine on every link (RFC 4291 §2.5.6, RFC 3927).
 */
export function isConnectable(address: Address): boolean {
  if (isUnspecified(address) || address === "255.255.255.255") return false;
  if (familyOf(address) === 6) return !/^(fe[89ab]|ff)/.test(address);
  const first = Number.parseInt(address, 10);
  return first !== 0 && (first < 224 || first > 239) && !address.startsWith("169.254.");
}

/** Whether a URL's or Host header's host part names this machine itself: a loopback address, or RFC 6761 §6.3's localhost. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.startsWith("[") ? host.slice(1, -1) : host;
  const address = parseAddress(bare);
  if (address !== undefined) return isLoopback(address);
  const name = bare.toLowerCase().replace(/\.$/, "");
  return name === "localhost" || name.endsWith(".localhost");
}

/** `address:port` as a URL writes it: IPv6 in brackets. */
export function formatEndpoint(endpoint: { address: string; port: number }): string {
  const host = endpoint.address.includes(":") ? `[${endpoint.address}]` : endpoint.address;
  return `${host}:${endpoint.port}`;
}

function ipv4OfMapped(canonical: string): string | undefined {
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (mapped === null) return undefined;
  const high = Number.parseInt(mapped[1] ?? "", 16);
  const low = Number.parseInt(mapped[2] ?? "", 16);
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
