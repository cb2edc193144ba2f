import type { PortKey } from "./ports.ts";

/** One label's fault: what is wrong and what would be right. */
export interface LabelFault {
  code: string;
  message: string;
}

/** Takes a label's fault; the code is `bad-label` unless told. */
export type TakeFault = (message: string, code?: string) => void;

export function flagFrom(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (["true", "1", "yes"].includes(word)) return true;
  return ["false", "0", "no"].includes(word) ? false : undefined;
}

/** 1 to 65535, or undefined. */
export function portFrom(text: string): number | undefined {
  return numberFrom(text, 1, 65535);
}

/** Decimal digits between two limits, or undefined. */
export function numberFrom(text: string, least: number, most: number): number | undefined {
  const word = text.trim();
  const number = /^\d{1,5}$/.test(word) ? Number(word) : -1;
  return number >= least && number <= most ? number : undefined;
}

/** `8080`, `8080/tcp` or `53/udp`. */
export function portKeyFrom(text: string): PortKey | undefined {
  const match = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(text.trim().toLowerCase());
  const containerPort = portFrom(match?.[1] ?? "");
  if (containerPort === undefined) return undefined;
  return { containerPort, protocol: match?.[2] === "udp" ? "udp" : "tcp" };
}

/** The words of a list, each once, in the order written; commas and white space stand between them. */
export function wordsOf(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter((word) => word !== ""))];
}

/** `10s`, `500ms`, `1m30s`: in milliseconds, or undefined. */
export function durationFrom(text: string): number | undefined {
  const word = text.trim().toLowerCase();
  // A pattern that repeats a group keeps a step back for each time, and runs out of room on a text without end.
  if (word.length > 64 || !/^(\d{1,9}(\.\d{1,9})?(ms|s|m|h))+$/.test(word)) return undefined;
  const perUnit: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  const parts = [...word.matchAll(/([\d.]+)(ms|s|m|h)/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (perUnit[unit ?? ""] ?? 0), 0);
}
