import { z } from "zod";

import { isConnectable, parseAddress } from "../../shared/address.ts";
import { bindingSchema } from "../../shared/binding.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Name } from "../../shared/name.ts";
import type { DeclaredService, ServiceCheck } from "../declare/input.ts";
import { declaredName } from "../declare/labels.ts";

const mostNames = 64;
const usual = { interval: 10, timeoutMs: 3_000 };

function whole(least: number, most: number) {
  const kind = `a whole number of ${least} to ${most}`;
  const error = ({ input }: { input?: unknown }) =>
    input === undefined ? `is missing; it is ${kind}` : `is not ${kind}`;
  return z.int({ error }).check((context) => {
    if (context.value >= least && context.value <= most) return;
    const message = `is ${context.value} and not ${kind}`;
    context.issues.push({ code: "custom", message, input: context.value });
  });
}

const text = z.string({ error: "is not a text; put it in quotation marks" });
const flag = z.boolean({ error: "is neither true nor false, without quotation marks" });
const port = whole(1, 65_535);

const addressSchema = text.transform((word, context) => {
  const address = parseAddress(word);
  if (address !== undefined && isConnectable(address)) return address;
  const message = `"${word}" is not an IP address clients can connect to; give one of this host's, or leave it out for all of them`;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

/** "off", or what to ask for: an absent path is a connect. */
const checkSchema = text.transform((word, context): "off" | { httpPath: string | undefined } => {
  if (word === "off") return "off";
  if (word === "tcp") return { httpPath: undefined };
  // What may stand in a request's first line.
  if (/^http:\/[\x21-\x7e]{0,1023}$/.test(word)) return { httpPath: word.slice("http:".length) };
  const message = `"${word}" is no check berth knows; give "tcp", "off" or "http:/path"`;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

const txtSchema = z
  .record(
    z.string(),
    z.union([z.string(), z.number(), z.boolean()], {
      error: "is neither a text, a number nor true or false",
    }),
    {
      error: 'is not a table of texts, such as { path = "/" }',
    },
  )
  .transform((table) => Object.entries(table).map(([key, value]) => `${key}=${value}`))
  .superRefine((texts, context) => {
    for (const fault of txtFaults(texts)) context.addIssue({ code: "custom", message: fault });
  });

const entrySchema = z.strictObject({
  name: text.optional(),
  names: z.array(text, { error: 'is not a list of texts, such as ["db.lab", "sql.lab"]' }).optional(),
  /** Where the service is open. */
  port,
  /** What clients ask for; the same as `port` unless told. */
  "service-port": port.optional(),
  protocol: z.enum(["tcp", "udp"], { error: 'is neither "tcp" nor "udp"' }).default("tcp"),
  address: addressSchema.optional(),
  check: checkSchema.optional(),
  /** Seconds between two checks. */
  interval: whole(1, 3_600).default(usual.interval),
  tls: flag.default(false),
  txt: txtSchema.default([]),
  priority: whole(0, 65_535).default(0),
  weight: whole(0, 65_535).default(1),
});
type Entry = z.infer<typeof entrySchema>;

/** One `[[service]]` table. Without a fault it is a service; with one it is none, because half of what somebody meant may be wrong. */
export function readEntry(
  id: string,
  entry: unknown,
  zone: Name,
): { service: DeclaredService | undefined; faults: string[] } {
  const parsed = entrySchema.safeParse(entry);
  if (!parsed.success) return { service: undefined, faults: parsed.error.issues.map(faultInWords) };
  const faults: string[] = [];
  const names = namesOf(parsed.data, zone, faults);
  const check = checkOf(parsed.data, faults);
  if (faults.length > 0) return { service: undefined, faults };
  const { protocol, port, address, tls, txt, priority, weight } = parsed.data;
  const servicePort = parsed.data["service-port"] ?? port;
  const addresses = address === undefined ? undefined : [address];
  const rest = { tls, txt: txt.toSorted(), priority, weight };
  return { service: { id, names, protocol, servicePort, port, addresses, check, ...rest }, faults };
}

function namesOf({ name, names }: Entry, zone: Name, faults: string[]): Name[] {
  const words = [...(name === undefined ? [] : [name]), ...(names ?? [])];
  if (words.length === 0) faults.push('it has no name; give it one, such as name = "db.lab"');
  if (words.length > mostNames) {
    faults.push(`it has ${words.length} names, and a service may have ${mostNames}`);
    return [];
  }
  const found = new Set<Name>();
  for (const word of words) {
    try {
      found.add(declaredName(word, zone));
    } catch (fault) {
      faults.push(`the name ${JSON.stringify(word)} cannot be used: ${describeFault(fault)}`);
    }
  }
  return [...found];
}

/** A TCP service that nobody connects to is not declared, so it is checked unless told otherwise; a UDP service tells nothing by itself. */
function checkOf(entry: Entry, faults: string[]): ServiceCheck | undefined {
  const check = entry.check ?? (entry.protocol === "tcp" ? { httpPath: undefined } : "off");
  if (check === "off") return undefined;
  if (entry.protocol === "udp") {
    faults.push('check: a udp service cannot be checked; remove the line, or write check = "off"');
    return undefined;
  }
  return { httpPath: check.httpPath, intervalMs: entry.interval * 1_000, timeoutMs: usual.timeoutMs };
}

/** As a push may say it of a binding; RFC 6763 §6.4: upper and lower case of a key are one. */
function txtFaults(texts: readonly string[]): string[] {
  const faults: string[] = [];
  const keys = texts.map((entry) => entry.slice(0, entry.indexOf("=")).toLowerCase());
  if (new Set(keys).size < keys.length)
    faults.push("has a key twice; upper and lower case do not tell keys apart");
  const parsed = bindingSchema.shape.txt.safeParse(texts);
  for (const { path, message } of parsed.error?.issues ?? []) {
    const key = keys[Number(path[0])];
    faults.push(
      key === undefined ? `has ${texts.length} entries; it may have 32` : `${JSON.stringify(key)} ${message}`,
    );
  }
  return faults;
}

function faultInWords(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(entrySchema.shape).join(", ");
    return `berth knows no ${issue.keys.map((key) => JSON.stringify(key.slice(0, 40))).join(", ")}; it knows ${known}`;
  }
  if (issue.path.length === 0) return "it is not a table; write [[service]] and its lines below it";
  const [key, ...rest] = issue.path;
  const place = rest.map((step) => (typeof step === "number" ? `[${step + 1}]` : `.${String(step)}`));
  return `${String(key)}${place.join("")} ${issue.message}`;
}
