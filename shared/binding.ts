import { z } from "zod";

import { addressSchema, isConnectable } from "./address.ts";
import { labelFault, nameSchema } from "./name.ts";

/** SHA-256 of the host's raw Ed25519 public key, RFC 4648 base32 in lower case without padding: 52 characters. */
export const hostIdSchema = z
  .string()
  .regex(/^[a-z2-7]{52}$/, "a host id is 52 base32 characters: the SHA-256 of the host's public key");

export const labelSchema = z.string().superRefine((label, context) => {
  const fault = labelFault(label);
  if (fault !== undefined) context.addIssue({ code: "custom", message: fault });
});

const portSchema = z.int().min(1).max(65535);
const uint16Schema = z.int().min(0).max(65535);
/** Octets of one string of a TXT RR. */
const maxTxtLength = 255;
const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, "a digest is 64 hexadecimal characters (SHA-256)");

/** RFC 6763 §6.4: what stands before the first "=" of a string is its key, printable US-ASCII. */
const txtForm = /^[\x20-\x3c\x3e-\x7e]+=/;
const txtSchema = z.string().superRefine((text, context) => {
  // In octets (RFC 1035 §3.3); the count of characters first, because nobody has to write out a text of megabytes.
  const isShort = text.length <= maxTxtLength && new TextEncoder().encode(text).length <= maxTxtLength;
  const message = `is longer than ${maxTxtLength} octets`;
  if (!isShort) context.addIssue({ code: "custom", message });
  else if (!txtForm.test(text)) context.addIssue({ code: "custom", message: "is not key=value" });
});

/** Which rule gave a binding its name, in falling precedence. `label` and `compose` names merge across hosts, the others do not. */
export const nameRules = ["label", "compose", "container", "host"] as const;
export type NameRule = (typeof nameRules)[number];

export const bindingSchema = z.strictObject({
  name: nameSchema,
  rule: z.enum(nameRules),
  protocol: z.enum(["tcp", "udp"]),
  /** The port clients ask for: the container port. */
  servicePort: portSchema,
  /** The host addresses where `port` is open: some or all of the host's advertised ones. */
  addresses: z.array(addressSchema).min(1).max(32),
  /** The published port (Docker's HostPort). */
  port: portSchema,
  /** The published port was chosen by a person and survives a restart; an ephemeral one may belong to another service by then. */
  fixed: z.boolean(),
  /** The container's name on its engine, for people. */
  container: z.string().min(1).max(255),
  /** One run of the container: its id and StartedAt. */
  instance: z.string().min(1).max(160),
  health: z.enum(["none", "starting", "healthy", "unhealthy"]),
  /** RFC 2782. */
  priority: uint16Schema,
  weight: uint16Schema,
  /** `berth.http`: true when port 80 of the name leads here (443 with `tls`), false when no port of the name may stand in for either. */
  http: z.boolean().optional(),
  /** The port speaks TLS: https goes there, plain http never does. Absent, its number says. */
  tls: z.literal(true).optional(),
  /** What clients may want to know of the service: `key=value`, 255 octets each (RFC 6763 §6). An empty list is as good as none. */
  txt: z.array(txtSchema).max(32).optional(),
});
/** One name, protocol and service port on one host, and where clients connect for it. */
export type Binding = z.infer<typeof bindingSchema>;

export const problemSchema = z.strictObject({
  container: z.string().max(255),
  code: z.string().regex(/^[a-z][a-z-]{0,63}$/, "a code is lower-case letters and hyphens"),
  /** What is wrong and what would be right. */
  message: z.string().max(500),
});
/** Something a person must mend before a container is reachable by the name they expect. */
export type Problem = z.infer<typeof problemSchema>;

const declaredFields = z.strictObject({
  /** The host's own label, from its hostname; the registry may grant another one. */
  hostLabel: labelSchema,
  addresses: z.array(addressSchema).min(1).max(32),
  /** The addresses are loopback ones: they mean something to clients on the same machine only. */
  local: z.boolean(),
  bindings: z.array(bindingSchema).max(20_000),
  problems: z.array(problemSchema).max(1_000),
});
export const declaredSchema = declaredFields.superRefine((declared, context) => {
  const own = new Set<string>(declared.addresses);
  declared.addresses.forEach((address, index) => {
    if (isConnectable(address)) return;
    const message = "is not an address anybody could connect to";
    context.addIssue({ code: "custom", path: ["addresses", index], message });
  });
  declared.bindings.forEach((binding, index) => {
    if (binding.addresses.every((address) => own.has(address))) return;
    const path = ["bindings", index, "addresses"];
    context.addIssue({ code: "custom", path, message: "not among the host's addresses" });
  });
});
/** Everything one host says about itself. The digest covers exactly this. */
export type Declared = z.infer<typeof declaredSchema>;

/** What tells a host's requests apart; carried by signed header fields, because requests without a body have a turn as well. */
export interface Turn {
  /** The registry's life the request was signed for: a request of an earlier one is a replay. */
  generation: string;
  /** Tells two processes with one host key apart; a process raises it once, on its first push, to the held one + 1. */
  epoch: number;
  /** Grows with every request of one epoch, so that a delayed older request changes nothing. */
  sequence: number;
}

const renewalFields = {
  /** Seconds asked for; the reply says what was granted. */
  lease: z.int().min(1).max(86_400),
  digest: digestSchema,
};
export const pushBodySchema = z.strictObject({ ...renewalFields, declared: declaredSchema });
export type Push = z.infer<typeof pushBodySchema> & Turn;
export const renewalBodySchema = z.strictObject(renewalFields);
export type Renewal = z.infer<typeof renewalBodySchema> & Turn;

/** A push of what changed since the set with the digest `base`: the named names' bindings are replaced, all else of the set stays. */
export const deltaBodySchema = z.strictObject({
  ...renewalFields,
  base: digestSchema,
  /** The declared set without its bindings. */
  declared: declaredFields.omit({ bindings: true }),
  /** All bindings of every name that has others now. */
  changed: z.array(bindingSchema).max(20_000),
  /** Names that have none any more. */
  gone: z.array(nameSchema).max(20_000),
});
export type Delta = z.infer<typeof deltaBodySchema> & Turn;

export const refusalSchema = z.object({
  name: nameSchema,
  code: z.enum(["held", "reserved", "out-of-zone", "too-long", "not-allowed", "over-limit"]),
  message: z.string(),
  /** Who has the name, for `held`: the owner, and the host where only one has it. */
  holder: z.object({ owner: z.string(), hostLabel: z.string() }).optional(),
});
/** A declared name that was not granted, and why. It does not hinder the others. */
export type Refusal = z.infer<typeof refusalSchema>;

export const pushReplySchema = z.object({
  /** Seconds granted, counted from the request's receipt. */
  lease: z.number(),
  revision: z.number(),
  /** Grows when who is refused changes for this host: when another host takes or frees a name it declares. */
  grantsRevision: z.number(),
  /** The label this host's own names stand under; differs from the declared one when another host had it first. */
  hostLabel: z.string(),
  refused: z.array(refusalSchema),
});
export type PushReply = z.infer<typeof pushReplySchema>;

export const errorReplySchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    faults: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    heldEpoch: z.number().optional(),
    /** Seconds until the other process' lease lapses. */
    leaseRemaining: z.number().optional(),
    /** What to sign requests for, with `unknown-generation`. */
    generation: z.string().optional(),
    /** The labels of the hosts that serve the name, with `name-live`. */
    hosts: z.array(z.string()).optional(),
  }),
});
export type ErrorReply = z.infer<typeof errorReplySchema>;
