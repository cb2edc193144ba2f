import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { BerthError } from "../../shared/errors.ts";
import { type TokenKind, tokenKinds } from "../../shared/tokens.ts";
import { readOrCreate } from "./files.ts";

/** The tokens an operator has before any was created: a file for each kind, made at the first start. */
export interface TokenFiles {
  files: Record<TokenKind, string>;
  tokens: Record<TokenKind, string>;
}

export function openTokenFiles(stateDir: string): TokenFiles {
  const files = byKind((kind) => join(stateDir, `${kind}.token`));
  return { files, tokens: byKind((kind) => readToken(files[kind])) };
}

function byKind<T>(make: (kind: TokenKind) => T): Record<TokenKind, T> {
  return Object.fromEntries(tokenKinds.map((kind) => [kind, make(kind)])) as Record<TokenKind, T>;
}

/** A token nobody can send would leave the resolver running and every agent refused. */
function readToken(file: string): string {
  const token = readOrCreate(file, 0o600, makeToken).trim();
  if (/^[\w.~+/=-]{20,200}$/.test(token)) return token;
  const mend = "write one of 20 to 200 letters and digits into it, or remove it to get a new one";
  throw new BerthError("bad-token-file", `${file} holds no token (${mend})`, { who: file });
}

function makeToken(): string {
  return `${randomBytes(32).toString("base64url")}\n`;
}
