import type { z } from "zod";

import { BerthError } from "../../shared/errors.ts";

/** One value of a request that is wrong: where it stands, and what would be right. */
export interface BodyFault {
  path: string;
  message: string;
}

/**
 * The JSON body of a request by its schema. Throws a BerthError `bad-content-type`, `body-too-large` (after reading no more than
 * `maxLength` octets), `malformed-json` or `invalid-body`, whose fact `faults` lists what is wrong.
 */
export async function readJsonBody<T>(request: Request, schema: z.ZodType<T>, maxLength: number): Promise<T> {
  return parseJsonBody(await readJsonOctets(request, maxLength), schema);
}

/** The octets of a body that says it is JSON: a signature covers them as they came. */
export async function readJsonOctets(request: Request, maxLength: number): Promise<Uint8Array<ArrayBuffer>> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new BerthError("bad-content-type", 'the body needs "content-type: application/json"');
  }
  return readOctets(request, maxLength);
}

/** Stops reading at the limit: content-length may be missing or a lie. (Hono's own limit cannot read @hono/node-server's requests.) */
export async function readOctets(request: Request, maxLength: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new BerthError("body-too-large", `the body is over ${maxLength} octets`);
  if (Number(request.headers.get("content-length")) > maxLength) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of request.body ?? []) {
      length += chunk.length;
      if (length > maxLength) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof BerthError) throw cause;
    throw new BerthError("malformed-json", "the body broke off", { cause });
  }
  return joined(chunks, length);
}

/** `refuse` throws for what would cost too much to hold against the schema. */
export function parseJsonBody<T>(
  octets: Uint8Array,
  schema: z.ZodType<T>,
  refuse: (body: unknown) => void = () => undefined,
): T {
  const body = parseJson(octets);
  refuse(body);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidBody(parsed.error.issues.map(({ path, message }) => ({ path: path.join("."), message })));
}

export function invalidBody(faults: BodyFault[]): BerthError {
  // A body of 20,000 wrong bindings must not become a reply of as many faults.
  const cut = (text: string) => (text.length > 200 ? `${text.slice(0, 197)}...` : text);
  const shown = faults.slice(0, 50).map(({ path, message }) => ({ path: cut(path), message: cut(message) }));
  const count =
    faults.length === 1 ? "one of its values is wrong" : `${faults.length} of its values are wrong`;
  return new BerthError("invalid-body", count, { facts: { faults: shown } });
}

function parseJson(octets: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(octets));
  } catch (cause) {
    throw new BerthError("malformed-json", "the body is not JSON in UTF-8", { cause });
  }
}

function joined(chunks: Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
