import type { Binding } from "../../shared/binding.ts";
import { RRType } from "../../shared/dns/constants.ts";
import type { Rdata } from "../../shared/dns/message.ts";

/** Octets of one TXT RRset: a message has room for 65,535, and what does not fit one is answered as truncated, so not at all. */
const maxOctets = 32_000;
/** Of an RR without its RDATA, the longest owner name included (RFC 1035 §3.2.1). */
const octetsOfRR = 265;

/**
 * TXT RDATA for everything `bindings` say: one RR for each distinct set of strings, because clients heed only the first of two strings with
 * one key in an RR (RFC 6763 §6.4, §6.8). Sorted; of more than 32,000 octets only the first are there.
 */
export function textRdata(bindings: readonly Binding[]): Rdata[] {
  const sets = new Map(
    bindings.map(({ txt = [] }) => {
      const texts = [...new Set(txt)].toSorted();
      return [JSON.stringify(texts), texts] as const;
    }),
  );
  let room = maxOctets;
  return [...sets]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, texts]): Rdata[] => {
      if (texts.length === 0) return [];
      room -= octetsOf(texts);
      return room < 0 ? [] : [{ type: RRType.TXT, texts }];
    });
}

function octetsOf(texts: string[]): number {
  const encoder = new TextEncoder();
  return texts.reduce((sum, text) => sum + 1 + encoder.encode(text).length, octetsOfRR);
}
