import { z } from "zod";

import { type Address, parseAddress } from "../shared/address.ts";
import { type ConfigOf, type ListenAddress, listenOption, type Option } from "../shared/config.ts";
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
    help: "also serve plain http there, loopback only, for a TLS-terminating proxy (off)",
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
} satisfies Record<string, Option<unknown>>;

export type ResolverConfig = ConfigOf<typeof resolverOptions>;
