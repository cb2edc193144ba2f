import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { base32FromBytes } from "../shared/base64.ts";
import { BerthError } from "../shared/errors.ts";
import type { HostSigner } from "../shared/signature.ts";
import { createOnce, isMissing } from "./private-file.ts";

const fileName = "host.key";

/** The host's key from `stateDir`, made there at the first start. Never replaces one: it is what the host's names belong to. */
export async function loadHostKey(stateDir: string): Promise<KeyObject> {
  const path = join(stateDir, fileName);
  const known = await readHostKey(stateDir);
  if (known !== undefined) return known;
  const { privateKey } = generateKeyPairSync("ed25519");
  const text = privateKey.export({ type: "pkcs8", format: "pem" });
  try {
    // Of two starts at once, one makes the file; the other reads what it made.
    if (await createOnce(path, text.toString())) return privateKey;
  } catch (cause) {
    throw badKey(path, "cannot be written; check its directory's owner and free space", cause);
  }
  return loadHostKey(stateDir);
}

/** As `loadHostKey`, but undefined when the host has no key yet. */
export async function readHostKey(stateDir: string): Promise<KeyObject | undefined> {
  const path = join(stateDir, fileName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw badKey(path, "cannot be read; it must belong to the user who runs the agent", cause);
  }
  return parseKey(path, text);
}

/** SHA-256 of the raw 32-byte public key, RFC 4648 base32 in lower case without padding. */
export function hostIdOf(key: KeyObject): string {
  const raw = Buffer.from(publicKeyOf(key), "base64url");
  return base32FromBytes(createHash("sha256").update(raw).digest());
}

/** Signs the host's requests with its private key. */
export function hostSigner(key: KeyObject): HostSigner {
  return {
    publicKey: publicKeyOf(key),
    // An Ed25519 key says itself how a message is hashed (RFC 8032 §5.1.6).
    sign: async (data) => sign(null, data, key),
  };
}

/** The raw 32 octets, base64url without padding (RFC 8037 §2). */
function publicKeyOf(key: KeyObject): string {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return publicKey.export({ format: "jwk" }).x ?? "";
}

function parseKey(path: string, text: string): KeyObject {
  const mend =
    "restore it from a backup; or remove it, and this host starts as a new one and gets its names when the old one's have lapsed";
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (cause) {
    throw badKey(path, `is damaged; ${mend}`, cause);
  }
  if (key.asymmetricKeyType !== "ed25519") throw badKey(path, `holds no Ed25519 key; ${mend}`);
  return key;
}

function badKey(path: string, fault: string, cause?: unknown): BerthError {
  return new BerthError("bad-host-key", `the host key ${path} ${fault}`, { who: path, cause });
}
