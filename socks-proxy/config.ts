import { z } from "zod";

import { type Address, isLoopbackHost, parseAddress } from "../shared/address.ts";
import {
  type ConfigOf,
  type ListenAddress,
  listenOption,
  secondsOption,
  switchSchema,
  urlListOption,
} from "../shared/config.ts";
import { BerthError } from "../shared/errors.ts";
import { type Name, parseName } from "../shared/name.ts";

/** The longest delay a timer takes is 2^31 - 1 ms, some 24 days. */
const day = 86_400;

/** No less than what a translator of addresses has to keep a silent connection for (RFC 5382 REQ-5). */
const standardIdle = 2 * 3_600 + 4 * 60;

const outsideSchema: z.ZodType<"allow" | "deny"> = z
  .enum(["allow", "deny"], { error: "allow or deny" })
  .default("allow");

const textSchema: z.ZodType<string | undefined> = z.string({ error: "a text" }).optional();

/** What `parse` makes of the text, with what it throws as the option's fault; without a text what `absent` is. */
function parsedOption<T>(absent: T, parse: (text: string) => T): z.ZodType<T> {
  return textSchema.transform((text, context) => {
    if (text === undefined) return absent;
    try {
      return parse(text);
    } catch (fault) {
      if (!(fault instanceof BerthError)) throw fault;
      context.addIssue({ code: "custom", message: fault.message });
      return z.NEVER;
    }
  }) as unknown as z.ZodType<T>;
}

function commaSeparated(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function zonesFrom(text: string): Name[] | undefined {
  const zones = [...new Set(commaSeparated(text).map(parseName))];
  return zones.length === 0 ? undefined : zones;
}

function addressesFrom(text: string): Address[] {
  return commaSeparated(text).map((word) => {
    const address = parseAddress(word);
    if (address !== undefined) return address;
    throw new BerthError("bad-config", `"${word}" is not an IP address`);
  });
}

/** `IP`, `IP:PORT` or `[IPv6]:PORT`; 53 (RFC 1035 §4.2) when no port is given. */
function dnsServersFrom(text: string): ListenAddress[] {
  return commaSeparated(text).map((word) => {
    const bare = parseAddress(word.replace(/^\[(.*)\]$/, "$1"));
    if (bare !== undefined) return { host: bare, port: 53 };
    const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(word);
    const [host, port] = [parseAddress(match?.[1] ?? match?.[2] ?? ""), Number(match?.[3])];
    if (host !== undefined && port > 0 && port <= 65_535) return { host, port };
    throw new BerthError("bad-config", `"${word}" is not the IP address of a DNS server, such as 9.9.9.9`);
  });
}

/** Rules have commas of their own, in their ports: a new one begins where the word for its verdict does. */
function rulesFrom(text: string): string[] {
  return text
    .split(/,(?=\s*(?:allow|deny)\s)/i)
    .map((rule) => rule.trim())
    .filter((rule) => rule !== "");
}

function listenOrOff(standard: string): z.ZodType<ListenAddress | undefined> {
  return z
    .string({ error: "host:port, or off" })
    .default(standard)
    .transform((text, context) => {
      if (text === "off") return undefined;
      const parsed = listenOption("").safeParse(text);
      if (parsed.success && isLoopbackHost(parsed.data.host)) return parsed.data;
      const fault = parsed.success ? `${text} is not loopback` : parsed.error.issues[0]?.message;
      context.addIssue({ code: "custom", message: `${fault}, nor "off"` });
      return z.NEVER;
    }) as unknown as z.ZodType<ListenAddress | undefined>;
}

function loopbackListen(standard: string): z.ZodType<ListenAddress> {
  return listenOption(standard).refine(
    ({ host }) => isLoopbackHost(host),
    `only this machine may ask it; listen on loopback, such as ${standard}`,
  );
}

/** Whole numbers of connections. */
function countOption(lowest: number, highest: number, standard: number): z.ZodType<number> {
  const fault = `a whole number from ${lowest} to ${highest}`;
  return z.coerce
    .number({ error: fault })
    .int(fault)
    .min(lowest, fault)
    .max(highest, fault)
    .default(standard);
}

export const proxyOptions = {
  listen: {
    schema: listenOption("127.0.0.1:1080"),
    help: "address to take SOCKS and HTTP clients at; beyond loopback only with --users-file (127.0.0.1:1080)",
    value: "HOST:PORT",
  },
  resolver: {
    schema: urlListOption("https://127.0.0.1:8053"),
    help: "the resolver that answers for the zones; several of one registry, by comma (https://127.0.0.1:8053)",
    value: "URLS",
  },
  resolverAddress: {
    schema: parsedOption<Address[]>([], addressesFrom),
    help: "where the resolver's hostname leads, by comma (default: what the system's DNS says)",
    value: "IPS",
    list: true,
  },
  tokenFile: {
    schema: textSchema,
    help: "the file of a token for lookups, which the resolver may ask for (none); read again when it changes",
    value: "FILE",
  },
  zone: {
    schema: parsedOption<Name[] | undefined>(undefined, zonesFrom),
    help: "names of these zones are asked of the resolver, others of the system; by comma (default: what the resolver says)",
    value: "NAMES",
    list: true,
  },
  outside: {
    schema: outsideSchema,
    help: "allow or deny destinations outside the zones that no rule speaks of (allow)",
    value: "POLICY",
  },
  rule: {
    schema: parsedOption<string[]>([], rulesFrom),
    help: 'what may be connected to, as "allow TARGET:PORTS" or "deny TARGET:PORTS"; the first that fits decides',
    value: "RULE",
    list: true,
  },
  usersFile: {
    schema: textSchema,
    help: "the file of name:password lines that clients must sign in with (none); read again when it changes",
    value: "FILE",
  },
  handshakeTimeout: {
    schema: secondsOption(1, day, 10),
    help: "seconds a client has to say what it wants (10)",
    value: "SECONDS",
  },
  resolveTimeout: {
    schema: secondsOption(1, day, 5),
    help: "seconds for finding where a name leads (5)",
    value: "SECONDS",
  },
  connectTimeout: {
    schema: secondsOption(1, day, 10),
    help: "seconds for connecting, all endpoints of a name together (10)",
    value: "SECONDS",
  },
  idleTimeout: {
    schema: secondsOption(0, 20 * day, standardIdle),
    help: "seconds without a byte in either direction that end a connection, 0 for no limit (7440)",
    value: "SECONDS",
  },
  restartPatience: {
    schema: secondsOption(0, day, 10),
    help: "seconds to wait for a name whose containers are just being restarted (10)",
    value: "SECONDS",
  },
  connectionsPerClient: {
    schema: countOption(1, 1_000_000, 2048),
    help: "connections that one client elsewhere (an address; of IPv6, one /64), or one user, may have at a time (2048)",
    value: "COUNT",
  },
  connections: {
    schema: countOption(1, 1_000_000, 8192),
    help: "connections of all clients at a time (8192)",
    value: "COUNT",
  },
  drainTimeout: {
    schema: secondsOption(0, day, 10),
    help: "seconds that busy connections get when the proxy is told to end (10)",
    value: "SECONDS",
  },
  page: {
    schema: listenOrOff("127.0.0.1:1081"),
    help: "loopback address of the status page, /proxy.pac and /metrics, or off (127.0.0.1:1081)",
    value: "HOST:PORT",
  },
  transparent: {
    schema: switchSchema,
    help: "answer DNS for the zones on this machine with addresses that lead to the services, for any program",
  },
  dnsListen: {
    schema: loopbackListen("127.64.0.1:53"),
    help: "where --transparent answers DNS, UDP and TCP (127.64.0.1:53)",
    value: "HOST:PORT",
  },
  transparentRange: {
    schema: z.string({ error: "a range" }).default("127.64.0.0/10") as z.ZodType<string>,
    help: "loopback addresses for --transparent to give to names (127.64.0.0/10)",
    value: "CIDR",
  },
  transparentIpv6: {
    schema: z.string({ error: "a range, or off" }).default("fd62:6572:7468::/64") as z.ZodType<string>,
    help: "IPv6 addresses for --transparent to give to names, where they can be bound, or off (fd62:6572:7468::/64)",
    value: "CIDR",
  },
  upstreamDns: {
    schema: parsedOption<ListenAddress[]>([], dnsServersFrom),
    help: "DNS servers for names outside the zones, IP or IP:PORT, by comma (default: the system's)",
    value: "SERVERS",
    list: true,
  },
  stateDir: {
    schema: textSchema,
    help: "directory for what is kept between runs: zones, the resolver's addresses, addresses given to names",
    value: "DIR",
  },
};

export type ProxyConfig = ConfigOf<typeof proxyOptions>;

/** Throws a BerthError `bad-config` when anybody on the network could use the proxy. `flag` is what the user calls the option `listen`. */
export function assertListenIsSafe({ listen, usersFile }: ProxyConfig, flag: string): void {
  if (usersFile !== undefined || isLoopbackHost(listen.host)) return;
  throw new BerthError(
    "bad-config",
    `${flag} ${listen.host} lets others than this machine in, which needs authentication: name a --users-file, or listen on loopback, such as 127.0.0.1:1080`,
    { who: "socks-proxy" },
  );
}
