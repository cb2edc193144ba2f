import { z } from "zod";

const secondsIn: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };
const longest = 3650 * 86_400;

/** Seconds from text such as 90d, 12h, 30m, 45s or 3600; null for "never". Undefined for anything else, and for more than ten years. */
export function parseDuration(text: string): number | null | undefined {
  if (text === "never") return null;
  const match = /^([1-9]\d{0,9})([smhd]?)$/.exec(text);
  if (match === null) return undefined;
  const seconds = Number(match[1]) * (secondsIn[match[2] || "s"] ?? 1);
  return seconds <= longest ? seconds : undefined;
}

export function durationOption(standard: string): z.ZodType<number | null> {
  return z
    .string({ error: "a time such as 90d" })
    .default(standard)
    .transform((text, context) => {
      const seconds = parseDuration(text);
      if (seconds !== undefined) return seconds;
      const message = `"${text}" is not a time such as 90d, 12h, 30m, 3600 (seconds) or never; ten years is the most`;
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }) as unknown as z.ZodType<number | null>;
}
