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
            }),
          ),
        }),
      ),
    }),
  ),
});
export type ServiceList = z.infer<typeof serviceListSchema>;
