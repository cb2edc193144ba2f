import { z } from "zod";

import { addressSchema } from "./address.ts";
import { problemSchema, refusalSchema } from "./binding.ts";
import { nameSchema } from "./name.ts";

/** What `GET /v1/hosts` answers: every container host with a live lease, sorted by label. */
export const hostListSchema = z.object({
  revision: z.number(),
  hosts: z.array(
    z.object({
      hostId: z.string(),
      declaredLabel: z.string(),
      hostLabel: z.string(),
      addresses: z.array(addressSchema),
      local: z.boolean(),
      epoch: z.number(),
      digest: z.string(),
      owner: z.string(),
      tokenId: z.string(),
      /** Seconds granted, and seconds left of them. */
      lease: z.number(),
      leaseRemaining: z.number(),
      bindings: z.number(),
      problems: z.array(problemSchema),
      refused: z.array(refusalSchema),
    }),
  ),
});
export type HostList = z.infer<typeof hostListSchema>;

/** What `GET /v1/services` answers: every granted name with its service ports and the endpoints behind each. */
export const serviceListSchema = z.object({
  revision: z.number(),
  zone: nameSchema,
  services: z.array(
    z.object({
      name: nameSchema,
      ports: z.array(
        z.object({
          protocol: z.enum(["tcp", "udp"]),
          servicePort: z.number(),
          endpoints: z.array(
            z.object({
              hostLabel: z.string(),
              container: z.string(),
              addresses: z.array(addressSchema),
              port: z.number(),
              fixed: z.boolean(),
              health: z.string(),
              tls: z.literal(true).optional(),
              txt: z.array(z.string()).optional(),
              /** Why it is not answered: `starting`, or `unhealthy` while another one of the port is ready. Absent, it is. */
              hidden: z.string().optional(),
            }),
          ),
        }),
      ),
    }),
  ),
});
export type ServiceList = z.infer<typeof serviceListSchema>;

/** What `GET /v1/names` answers: who holds which name. A host's own names, below host.<zone>, are not in it. */
export const nameListSchema = z.object({
  revision: z.number(),
  names: z.array(
    z.object({
      name: nameSchema,
      owner: z.string(),
      /** The host that brought it. */
      hostLabel: z.string(),
      /** Only that host may answer for it: the name of a plain container. */
      exclusive: z.boolean(),
      /** Milliseconds since 1970: when the holder got it, and until when it is kept though nobody serves it (null while somebody does). */
      since: z.number(),
      until: z.number().nullable(),
      waiting: z.array(z.object({ hostLabel: z.string(), owner: z.string() })),
    }),
  ),
});
export type NameList = z.infer<typeof nameListSchema>;

/** What `GET /v1/observed` answers: where the request came from. */
export const observedSchema = z.object({ address: addressSchema });

/** What `GET /v1/zones` answers: the zones this resolver answers for. */
export const zoneListSchema = z.object({ zones: z.array(nameSchema) });
export type ZoneList = z.infer<typeof zoneListSchema>;

/** What `GET /v1/names/{name}` answers: the ports of a name that have an SRV answer now, ascending, TCP first. Never empty. */
export const portListSchema = z.object({
  /** The oldest of what it was read from: where a copy answered, the registry may have changed since. */
  revision: z.number(),
  zone: nameSchema,
  name: nameSchema,
  ports: z.array(z.object({ protocol: z.enum(["tcp", "udp"]), servicePort: z.number() })).min(1),
  /** The registry was out of reach: a copy answers, of unknown age, and ports may be missing. */
  stale: z.literal(true).optional(),
});
export type PortList = z.infer<typeof portListSchema>;
