import { hostIdSchema, type Renewal, renewalBodySchema, type Turn } from "../shared/binding.ts";
import { matchesContentDigest } from "../shared/content-digest.ts";
import { badSignature, verifyRequest } from "../shared/signature.ts";
import { bodyComponent, linkComponents, turnComponents } from "../shared/signed-headers.ts";
import { invalidBody } from "./routes/body.ts";

/** The host id in a path. Throws `invalid-body` for text that is none. */
export function hostIdFrom(text: string | undefined): string {
  const parsed = hostIdSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw invalidBody([{ path: "hostId", message: parsed.error.issues[0]?.message ?? "wrong" }]);
}

/**
 * Whose turn a request without a body is, when the host `hostId` signed it; else throws `bad-signature`. `publicPath` is what a reverse
 * proxy in front took off the path: the host signed the path it asked for. Reads no body.
 */
export async function verifyTurn(request: Request, hostId: string, publicPath: string): Promise<Turn> {
  return verify(request, hostId, publicPath, turnComponents);
}

/** As `verifyTurn`, of a request with a body: `body` is then the only one it can have, which `checkDigest` sees to. */
export async function verifyTurnWithBody(
  request: Request,
  hostId: string,
  publicPath: string,
): Promise<{ turn: Turn; checkDigest: (body: Uint8Array) => Promise<void> }> {
  const turn = await verify(request, hostId, publicPath, [...turnComponents, bodyComponent]);
  const field = request.headers.get(bodyComponent) ?? "";
  return { turn, checkDigest: (body) => checkContentDigest(field, body) };
}

/** The renewal that the upgrade to a link stands for. Throws `bad-signature`, or `invalid-body` for another lease or digest than there are. */
export async function renewalFromUpgrade(
  request: Request,
  hostId: string,
  publicPath: string,
): Promise<Renewal> {
  const turn = await verify(request, hostId, publicPath, [...turnComponents, ...linkComponents]);
  const lease = integerIn(request.headers.get("berth-lease"));
  const digest = request.headers.get("berth-digest");
  const parsed = renewalBodySchema.safeParse({ lease, digest });
  if (parsed.success) return { ...parsed.data, ...turn };
  throw invalidBody(
    parsed.error.issues.map(({ path, message }) => ({ path: `berth-${path.join(".")}`, message })),
  );
}

async function verify(
  request: Request,
  hostId: string,
  publicPath: string,
  components: readonly string[],
): Promise<Turn> {
  const { method, headers } = request;
  const path = `${publicPath}${new URL(request.url).pathname}`;
  const generation = await verifyRequest({ method, path, headers }, components, hostId);
  return {
    generation,
    epoch: counterIn(headers, "berth-epoch"),
    sequence: counterIn(headers, "berth-sequence"),
  };
}

async function checkContentDigest(field: string, body: Uint8Array): Promise<void> {
  let matches = false;
  try {
    matches = await matchesContentDigest(field, body);
  } catch (cause) {
    throw badSignature(`the header field ${bodyComponent} is malformed`, cause);
  }
  if (!matches) throw badSignature(`the header field ${bodyComponent} is not the sha-256 of the body`);
}

function counterIn(headers: Headers, name: string): number {
  const counter = integerIn(headers.get(name));
  if (Number.isSafeInteger(counter) && counter >= 1) return counter;
  throw badSignature(`the header field ${name} must be an integer from 1 to ${Number.MAX_SAFE_INTEGER}`);
}

/** NaN unless it is written the one way: digits without a leading zero. */
function integerIn(text: string | null): number {
  return text !== null && /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
}
