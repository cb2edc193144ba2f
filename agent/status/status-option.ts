import { z } from "zod";

import { type ListenAddress, listenOption } from "../../shared/config.ts";

/** Where a running agent's metrics and status are: `host:port`, or `off`, which is undefined here. */
export const statusOption = z
  .string({ error: "host:port, or off" })
  .default("127.0.0.1:9853")
  .transform((text, context) => {
    if (text === "off") return undefined;
    const parsed = listenOption("").safeParse(text);
    if (parsed.success) return parsed.data;
    context.addIssue({ code: "custom", message: `${parsed.error.issues[0]?.message}, nor "off"` });
    return z.NEVER;
  }) as unknown as z.ZodType<ListenAddress | undefined>;
