import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { BerthError } from "../shared/errors.ts";
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
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  return base32(createHash("sha256").update(raw).digest());
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

function base32(bytes: Uint8Array): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups.map((group) => alphabet[Number.parseInt(group.padEnd(5, "0"), 2)]).join("");
}
