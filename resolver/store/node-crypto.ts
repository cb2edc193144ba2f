import { createHash, randomBytes } from "node:crypto";

/** Lower-case hex SHA-256 of a text, without waiting: the registry applies a push in one step. Workers have it by nodejs_compat. */
export function sha256Hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** A name for one life of the registry that no other life has. */
export function makeGeneration(): string {
  return randomBytes(9).toString("base64url");
}
