import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";

import { BerthError } from "../shared/errors.ts";

/**
 * A fetch that trusts the certificate authority in `file` besides the system's. The file is read when it appears and again when it
 * changes: an agent may start before the resolver that makes it. With `required`, a file
 * that is missing or holds no certificate is a BerthError `bad-config`.
 */
export function fetchTrusting(file: string, required: boolean): typeof fetch {
  const standard = getCACertificates("default");
  let readAt = -1;
  function refresh(): void {
    const changedAt = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? -1;
    if (changedAt === readAt || changedAt === -1) return;
    trust(standard, file);
    readAt = changedAt;
  }
  if (required && statSync(file, { throwIfNoEntry: false }) === undefined) {
    const message = `--ca ${file}: there is no such file; copy the resolver's tls/ca.pem from its state directory`;
    throw new BerthError("bad-config", message);
  }
  if (required) refresh();
  return (input, init) => {
    refresh();
    return fetch(input, init);
  };
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
