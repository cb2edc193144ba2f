import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";

import { BerthError } from "../shared/errors.ts";
import type { HttpSend } from "../shared/resolver-exchange.ts";
import { createHttpSend } from "./http-send.ts";

/**
 * A fetch that trusts the certificate authority in `file` besides the system's. The file is read when it appears and again when it
 * changes: an agent may start before the resolver that makes it. With `required`, a file
 * that is missing or holds no certificate is a BerthError `bad-config`.
 */
export function fetchTrusting(file: string, required: boolean): typeof fetch {
  const refresh = trustIn(file, required);
  return (input, init) => {
    refresh();
    return fetch(input, init);
  };
}

/** The same for an agent, which runs for good on machines that are there for others: with a fraction of fetch's memory. */
export function sendTrusting(file: string, required: boolean): HttpSend {
  return createHttpSend(trustIn(file, required));
}

/** The function returned is to be called before each request; true when it has made the whole process trust what the file holds now. */
function trustIn(file: string, required: boolean): () => boolean {
  const standard = getCACertificates("default");
  let readAt = -1;
  function refresh(): boolean {
    const changedAt = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? -1;
    if (changedAt === readAt || changedAt === -1) return false;
    trust(standard, file);
    readAt = changedAt;
    return true;
  }
  if (required && statSync(file, { throwIfNoEntry: false }) === undefined) {
    const message = `--ca ${file}: there is no such file; copy the resolver's tls/ca.pem from its state directory`;
    throw new BerthError("bad-config", message);
  }
  if (required) refresh();
  return refresh;
}

function trust(standard: string[], file: string): void {
  try {
    const text = readFileSync(file, "utf8");
    // Node would take a file without a certificate, and trust nothing more.
    new X509Certificate(text);
    setDefaultCACertificates([...standard, text]);
  } catch (cause) {
    const message = `--ca ${file}: holds no certificate (PEM); copy the resolver's tls/ca.pem from its state directory`;
    throw new BerthError("bad-config", message, { who: file, cause });
  }
}
