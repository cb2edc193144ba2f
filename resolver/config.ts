import { z } from "zod";

import { type Address, isLoopbackHost, parseAddress } from "../shared/address.ts";
import {
  type ConfigOf,
  type ListenAddress,
  listenOption,
  type Option,
  secondsOption,
} from "../shared/config.ts";
import { type Name, nameSchema } from "../shared/name.ts";

/** Addresses after a comma each; the parsed value is canonical. */
const addressListSchema = z
  .string()
  .default("")
  .transform((text, context) => {
    const parts = text.split(",").map((part) => part.trim());
    const wanted = parts.filter((part) => part !== "");
    const addresses = wanted.flatMap((part) => parseAddress(part) ?? []);
    if (addresses.length === wanted.length) return addresses;
    context.addIssue({
      code: "custom",
      message: `"${text}" is not a list of IP addresses, such as 192.0.2.7,2001:db8::7`,
    });
    return z.NEVER;
  });

const hostNameListSchema = z
  .string()
  .default("")
  .transform((text) =>
    text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== ""),
  );

const optionalListenSchema = z.union([z.undefined(), listenOption("127.0.0.1:0")]);

const fileOption = z.string().min(1).optional() as z.ZodType<string | undefined>;

/** Where the registry is kept: the URLs of etcd's members, or undefined for a file of its own. */
const storeOption = z
  .string()
  .default("sqlite")
  .transform((text, context) => {
    if (text === "sqlite") return undefined;
    const match = /^(etcds?):\/\/([^/@?#]+)\/?$/.exec(text);
    const members = (match?.[2] ?? "").split(",").map((member) => member.trim());
    const scheme = match?.[1] === "etcds" ? "https" : "http";
    const urls = members.map((member) => `${scheme}://${member}`);
    if (match !== null && urls.every((url) => URL.canParse(url) && new URL(url).hostname !== "")) return urls;
    // Not the text itself: somebody may have put a password into it.
    const message =
      "neither sqlite nor etcd members, such as etcd://10.0.0.1:2379,10.0.0.2:2379 (user and password have options of their own)";
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }) as unknown as z.ZodType<string[] | undefined>;

const publicPathSchema: z.ZodType<string> = z
  .string()
  .regex(/^(\/[\w.~-]+)*$/, "a path without a slash at its end, such as /berth")
  .default("");

const lookupTokensSchema: z.ZodType<"auto" | "on" | "off"> = z
  .enum(["auto", "on", "off"], { error: "auto, on or off" })
  .default("auto");

export const resolverOptions = {
  zone: {
    schema: z.string().default("berth.internal").pipe(nameSchema) as unknown as z.ZodType<Name>,
    value: "NAME",
    help: "the zone to answer for (berth.internal)",
  },
  listen: {
    schema: listenOption("127.0.0.1:8053"),
    value: "HOST:PORT",
    help: "where to serve https: push API and DoH, HTTP/2 and HTTP/1.1 (127.0.0.1:8053)",
  },
  listenHttp: {
    schema: optionalListenSchema as z.ZodType<ListenAddress | undefined>,
    value: "HOST:PORT",
    help: "also serve plain http there, loopback only, for a TLS-terminating proxy; a public one needs --lookup-tokens on (off)",
  },
  stateDir: {
    schema: z.string({ error: "a directory" }).min(1),
    value: "DIR",
    help: "where the registry, the tokens and the certificates are kept",
  },
  publicNames: {
    schema: hostNameListSchema as unknown as z.ZodType<string[]>,
    value: "NAME,...",
    help: "further names and addresses the certificate is valid for (localhost and the listen address always are)",
  },
  nsAddress: {
    schema: addressListSchema as unknown as z.ZodType<Address[]>,
    value: "IP,...",
    help: "addresses of ns.<zone> (the listen address, if it is one)",
  },
  store: {
    schema: storeOption,
    value: "WHERE",
    help: "sqlite, one file in the state directory; or etcd://HOST:PORT,... (etcds:// with TLS), shared by several resolvers (sqlite)",
  },
  etcdCa: { schema: fileOption, value: "FILE", help: "the authority of etcd's certificates (the system's)" },
  etcdCert: { schema: fileOption, value: "FILE", help: "a certificate to show etcd, with --etcd-key" },
  etcdKey: { schema: fileOption, value: "FILE", help: "its private key" },
  etcdUser: { schema: fileOption, value: "NAME", help: "the user to be for etcd, with --etcd-password-file" },
  etcdPasswordFile: { schema: fileOption, value: "FILE", help: "a file with that user's password" },
  leaseMin: {
    schema: secondsOption(5, 3600, 5),
    value: "SECONDS",
    help: "the shortest lease granted (5)",
  },
  leaseMax: {
    schema: secondsOption(5, 3600, 3600),
    value: "SECONDS",
    help: "the longest lease granted (3600); agents ask for 15 unless told otherwise",
  },
  publicPath: {
    schema: publicPathSchema,
    value: "PATH",
    help: "the path a reverse proxy takes off in front of /v1, as in /berth; agents sign the path they ask for (none)",
  },
  trustedProxies: {
    schema: addressListSchema as unknown as z.ZodType<Address[]>,
    value: "IP,...",
    help: "reverse proxies whose X-Forwarded-For is believed when a host asks by which address it is seen (none)",
  },
  lookupTokens: {
    schema: lookupTokensSchema,
    value: "WHEN",
    help: "whether lookups need a token: on, off, or auto, which is off when --listen is loopback, even behind a public proxy (auto)",
  },
} satisfies Record<string, Option<unknown>>;

export type ResolverConfig = ConfigOf<typeof resolverOptions>;

/** Programs of this machine can see its containers anyway; what comes from elsewhere must say who it is. */
export function lookupsNeedToken({
  lookupTokens,
  listen,
}: Pick<ResolverConfig, "lookupTokens" | "listen">): boolean {
  return lookupTokens === "auto" ? !isLoopbackHost(listen.host) : lookupTokens === "on";
}
