import { base32FromBytes, base64FromBytes, bytesFromBase64, bytesFromBase64Url } from "./base64.ts";
import { BerthError } from "./errors.ts";
import {
  encodeInnerList,
  encodeItem,
  type InnerList,
  type Item,
  parseDictionary,
} from "./structured-fields.ts";

/** Holds a host's private key, so that nothing else has to. */
export interface HostSigner {
  /** The raw Ed25519 public key (32 octets), base64url without padding. */
  publicKey: string;
  /** The Ed25519 signature (RFC 8032), 64 octets. */
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/** A request as a signature sees it (RFC 9421 §2). `path` is the one the other end is asked for, as it stands in the request. */
export interface SignableRequest {
  method: string;
  path: string;
  headers: HeaderFields;
}

/** What is asked of `Headers`; `name` is in lower case. */
export interface HeaderFields {
  get(name: string): string | null;
}

export interface SignatureClaims {
  /** The registry's life the request is meant for. */
  nonce: string;
  /** Seconds since 1970; for people who read along, no verifier judges it. */
  created?: number;
}

/** The label of the one signature that counts; others may stand beside it. */
const label = "berth";

/** The fields that sign `request` with all of `components` covered; it must carry every header field among them already. */
export async function signRequest(
  signer: HostSigner,
  request: SignableRequest,
  components: readonly string[],
  { nonce, created }: SignatureClaims,
): Promise<{ "signature-input": string; signature: string }> {
  const covered: InnerList = {
    items: components.map((name) => ({ bare: { kind: "string", value: name }, parameters: new Map() })),
    parameters: new Map([
      ...(created === undefined ? [] : [["created", { kind: "number", value: String(created) }] as const]),
      ["keyid", { kind: "string", value: signer.publicKey }],
      ["alg", { kind: "string", value: "ed25519" }],
      ["nonce", { kind: "string", value: nonce }],
    ]),
  };
  const base = signatureBase(covered, (name) => componentOf(request, name));
  const signature = base64FromBytes(await signer.sign(new TextEncoder().encode(base)));
  return { "signature-input": `${label}=${encodeInnerList(covered)}`, signature: `${label}=:${signature}:` };
}

/**
 * Resolves to the signature's nonce when the key `hostId` stands for signed `request` with at least `required` covered. Otherwise throws
 * a BerthError `bad-signature` that says which part is wrong. Whether the body is the signed one is for the caller to see, by its digest.
 */
export async function verifyRequest(
  request: SignableRequest,
  required: readonly string[],
  hostId: string,
): Promise<string> {
  const covered = coveredBy(request.headers);
  const nonce = parameterOf(covered, "nonce");
  const missing = required.filter((name) => !covered.items.some(({ bare }) => bare.value === name));
  if (missing.length > 0) throw badSignature(`it does not cover ${missing.join(", ")}`);
  if (parameterOf(covered, "alg") !== "ed25519") throw badSignature('its alg must be "ed25519"');
  const publicKey = parameterOf(covered, "keyid");
  if ((await hostIdOfPublicKey(publicKey)) !== hostId) {
    throw badSignature("its keyid must be the public key whose SHA-256 is the host id in the path");
  }
  const signature = signatureIn(request.headers);
  const base = new TextEncoder().encode(signatureBase(covered, (name) => componentOf(request, name)));
  if (await isSignedBy(publicKey, signature, base)) return nonce;
  throw badSignature(`it is not that key's over ${covered.items.map(({ bare }) => bare.value).join(", ")}`);
}

/** The octets that are signed, as text (RFC 9421 §2.5); a component without a value throws. */
export function signatureBase(covered: InnerList, read: (name: string) => string | null): string {
  const lines = covered.items.map((item) => `${encodeItem(item)}: ${valueOfComponent(item, read)}`);
  return [...lines, `"@signature-params": ${encodeInnerList(covered)}`].join("\n");
}

/** The id of the host a key belongs to; undefined for text that is no raw Ed25519 key in base64url. */
export async function hostIdOfPublicKey(publicKey: string): Promise<string | undefined> {
  const raw = bytesFromBase64Url(publicKey);
  if (raw?.length !== 32) return undefined;
  return base32FromBytes(new Uint8Array(await crypto.subtle.digest("SHA-256", raw)));
}

export function badSignature(fault: string, cause?: unknown): BerthError {
  const message = `the request needs the signature of the host's key (RFC 9421), labelled "${label}": ${fault.slice(0, 300)}`;
  return new BerthError("bad-signature", message, cause === undefined ? {} : { cause });
}

function coveredBy(headers: HeaderFields): InnerList {
  const member = memberOf(headers, "signature-input");
  if (!("items" in member)) throw badSignature("its signature-input is not a list of components");
  const seen = new Set<string>();
  for (const { bare, parameters } of member.items) {
    if (bare.kind !== "string") throw badSignature("its components must be strings");
    // sf, bs, key, req and tr would each ask for another value than the one we know.
    if (parameters.size > 0)
      throw badSignature(`component ${bare.value} has parameters, which are not known here`);
    if (seen.has(bare.value)) throw badSignature(`it covers ${bare.value} twice`);
    seen.add(bare.value);
  }
  return member;
}

function parameterOf(covered: InnerList, name: string): string {
  const bare = covered.parameters.get(name);
  if (bare?.kind !== "string") throw badSignature(`it needs the parameter ${name}, a string`);
  return bare.value;
}

function signatureIn(headers: HeaderFields): Uint8Array {
  const member = memberOf(headers, "signature");
  const bytes =
    "bare" in member && member.bare.kind === "bytes" ? bytesFromBase64(member.bare.value) : undefined;
  if (bytes?.length !== 64) throw badSignature("its signature must be 64 octets, between colons in base64");
  return bytes;
}

function memberOf(headers: HeaderFields, field: string): Item | InnerList {
  const text = headers.get(field);
  if (text === null) throw badSignature(`the header field ${field} is missing`);
  const member = parsedField(field, text).get(label);
  if (member === undefined) throw badSignature(`the header field ${field} has no member "${label}"`);
  return member;
}

function parsedField(field: string, text: string): ReturnType<typeof parseDictionary> {
  try {
    return parseDictionary(text);
  } catch (cause) {
    throw badSignature(
      `the header field ${field} ${cause instanceof Error ? cause.message : "is malformed"}`,
      cause,
    );
  }
}

function valueOfComponent({ bare }: Item, read: (name: string) => string | null): string {
  const name = String(bare.value);
  const value = read(name);
  if (value === null) throw badSignature(`it covers ${name}, which this request does not have`);
  // A line end in a value could stand for a component of its own; other characters have no one encoding.
  if (!/^[\t -~]*$/.test(value)) throw badSignature(`${name} has characters that cannot be signed`);
  return value;
}

function componentOf({ method, path, headers }: SignableRequest, name: string): string | null {
  if (name === "@method") return method;
  if (name === "@path") return path;
  // Field names are lower case in a signature (RFC 9421 §2.1); no other derived component is known here.
  return /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) ? headers.get(name) : null;
}

/** Not kept for the next request: importing a key takes a twentieth of the time of one verification. */
async function isSignedBy(publicKey: string, signature: Uint8Array, data: Uint8Array): Promise<boolean> {
  const raw = bytesFromBase64Url(publicKey) ?? new Uint8Array();
  try {
    const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, signature, data);
  } catch (cause) {
    throw badSignature("its keyid is no Ed25519 key", cause);
  }
}
