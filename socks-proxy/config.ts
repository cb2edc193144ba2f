import { z } from "zod";

import { isLoopbackHost } from "../shared/address.ts";
import {
  type ConfigOf,
  type ListenAddress,
  listenOption,
  secondsOption,
  urlListOption,
} from "../shared/config.ts";
import { type Name, nameSchema } from "../shared/name.ts";

/** The longest delay a timer takes is 2^31 - 1 ms, some 24 days. */
const day = 86_400;

const listenSchema: z.ZodType<ListenAddress> = listenOption("127.0.0.1:1080").refine(
  ({ host }) => isLoopbackHost(host),
  "binding elsewhere needs authentication, which this proxy does not have yet; listen on loopback, such as 127.0.0.1:1080",
);

const zoneSchema: z.ZodType<Name> = z
  .string({ error: "a domain name" })
  .default("berth.internal")
  .pipe(nameSchema);

const outsideSchema: z.ZodType<"allow" | "deny"> = z
  .enum(["allow", "deny"], { error: "allow or deny" })
  .default("allow");

const tokenFileSchema: z.ZodType<string | undefined> = z.string({ error: "a file" }).optional();

export const proxyOptions = {
  listen: {
    schema: listenSchema,
    help: "loopback address to take SOCKS5 clients at (127.0.0.1:1080)",
    value: "HOST:PORT",
  },
  resolver: {
    schema: urlListOption("https://127.0.0.1:8053"),
    help: "the resolver that answers for the zone; several of one registry, by comma (https://127.0.0.1:8053)",
    value: "URLS",
  },
  tokenFile: {
    schema: tokenFileSchema,
    help: "the file of a token for lookups, which the resolver may ask for (none); read again when it changes",
    value: "FILE",
  },
  zone: {
    schema: zoneSchema,
    help: "names of this zone are asked of the resolver, others of the system (berth.internal)",
    value: "NAME",
  },
  outside: {
    schema: outsideSchema,
    help: "allow or deny destinations outside the zone (allow)",
    value: "POLICY",
  },
  handshakeTimeout: {
    schema: secondsOption(1, day, 10),
    help: "seconds a client has for the whole SOCKS hand-shake (10)",
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
    schema: secondsOption(1, 20 * day, 7200),
    help: "seconds without a byte in either direction that end a connection (7200)",
    value: "SECONDS",
  },
};

export type ProxyConfig = ConfigOf<typeof proxyOptions>;
