import type { TakeFault } from "./label-values.ts";

/** As many as one push may say of a binding, the longest string of a TXT record (RFC 1035 §3.3), and what fits one packet (RFC 6763 §6.2). */
const most = { entries: 32, bytes: 255, together: 1_300 };

/** Reads the `berth.txt.KEY=VALUE` labels among `own`, which is sorted: `KEY=VALUE` each, sorted (RFC 6763 §6). */
export function txtFrom(own: ReadonlyMap<string, string>, fault: TakeFault): string[] {
  const prefix = "berth.txt.";
  const texts = new Map<string, string>();
  for (const [label, value] of own) {
    if (!label.startsWith(prefix)) continue;
    const key = label.slice(prefix.length);
    const text = `${key}=${value}`;
    // RFC 6763 §6.4: a key is printable ASCII without "=", and upper and lower case are one.
    if (!/^[\x20-\x3c\x3e-\x7e]+$/.test(key)) {
      fault(`${label}: a key is made of printable ASCII characters, none of them "="; rename it`);
    } else if (texts.has(key.toLowerCase())) {
      fault(
        `${label}: a key of the same letters is there already; upper and lower case do not tell two apart`,
      );
    } else if (new TextEncoder().encode(text).length > most.bytes) {
      fault(`${label}: key and value are longer than ${most.bytes} bytes together; shorten them`);
    } else {
      texts.set(key.toLowerCase(), text);
    }
  }
  if (texts.size > most.entries)
    fault(
      `${texts.size} berth.txt labels, and a container may have ${most.entries}; the others are left out`,
      "too-many",
    );
  return withinOnePacket([...texts.values()].slice(0, most.entries), fault).toSorted();
}

function withinOnePacket(texts: readonly string[], fault: TakeFault): string[] {
  const encoder = new TextEncoder();
  let octets = 0;
  const fitting = texts.filter((text) => {
    octets += encoder.encode(text).length + 1;
    return octets <= most.together;
  });
  if (fitting.length < texts.length)
    fault(
      `the berth.txt labels are longer than ${most.together} bytes together; the last ones are left out`,
      "too-many",
    );
  return fitting;
}
