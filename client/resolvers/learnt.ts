import { z } from "zod";

import { type Address, addressSchema } from "../../shared/address.ts";
import { type Name, nameSchema } from "../../shared/name.ts";

/** What was learnt of a registry's resolvers, for the next start of this program. */
export interface Learnt {
  /** The resolvers it was learnt of, as their URLs' origins: a path may hold a token. */
  resolvers: string[];
  zones: Name[] | undefined;
  /** Where a resolver's hostname led when it was last reached. */
  addresses: Record<string, Address[]>;
}

const learntSchema = z.object({
  resolvers: z.array(z.string()),
  zones: z.array(nameSchema).nonempty().optional(),
  addresses: z.record(z.string(), z.array(addressSchema)),
});

/** What a file says of these resolvers: nothing when it is of others, or of another shape. */
export function learntFrom(text: string | undefined, urls: readonly string[]): Learnt {
  const resolvers = urls.map((url) => new URL(url).origin);
  const nothing: Learnt = { resolvers, zones: undefined, addresses: {} };
  const { data } = learntSchema.safeParse(jsonFrom(text ?? ""));
  if (data === undefined || data.resolvers.join() !== resolvers.join()) return nothing;
  return { resolvers, zones: data.zones, addresses: data.addresses };
}

export function textOfLearnt(learnt: Learnt): string {
  return `${JSON.stringify(learnt, undefined, 2)}\n`;
}

function jsonFrom(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
