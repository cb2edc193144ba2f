// x509 builds on decorators, which need this polyfill loaded first.
import "reflect-metadata";

import { createHash, createPrivateKey, createPublicKey, webcrypto, X509Certificate } from "node:crypto";
import { mkdirSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

import { BerthError } from "../../shared/errors.ts";
import { readIfThere, readOrCreate, replaceFile } from "./files.ts";

const dayMs = 24 * 60 * 60 * 1000;
const authorityDays = 3650;
const leafDays = 90;
/** A leaf is made anew when less than this is left of it. */
const renewalDays = 30;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** What a TLS server needs, in PEM. */
export interface ServerCertificate {
  cert: string;
  key: string;
}

/** A certificate authority of this machine's own, which agents and proxies trust by file. */
export interface Authority {
  /** Path of the CA certificate to hand out. */
  caFile: string;
  /** The kept leaf while it is valid for all of `names` for 30 more days, else a new one. */
  serverCertificate(names: string[], now: number): Promise<ServerCertificate>;
}

/** Opens the authority in `directory`; the first call makes it. Throws a BerthError `bad-authority` naming what is damaged. */
export async function openAuthority(directory: string): Promise<Authority> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const bundleFile = join(directory, "ca.key");
  const caFile = join(directory, "ca.pem");
  const made = await makeAuthority(Date.now());
  // Key and certificate are one file, so that no crash leaves a key with another's certificate; ca.pem is the part for others.
  const bundle = readOrCreate(bundleFile, 0o600, () => made);
  const authority = parseBundle(bundleFile, bundle);
  checkAuthority(bundleFile, authority, Date.now());
  if (readIfThere(caFile) !== authority.cert) replaceFile(caFile, 0o644, authority.cert);
  return {
    caFile,
    async serverCertificate(names, now) {
      const leafFile = join(directory, "leaf.pem");
      const kept = readIfThere(leafFile);
      const fit = kept === undefined ? undefined : fitLeaf(leafFile, kept, authority.cert, names, now);
      if (fit !== undefined) return fit;
      checkAuthority(bundleFile, authority, now);
      const leaf = await makeLeaf(authority, names, now);
      replaceFile(leafFile, 0o600, leaf);
      return parseBundle(leafFile, leaf);
    },
  };
}

async function makeAuthority(now: number): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const raw = await webcrypto.subtle.exportKey("raw", keys.publicKey);
  // Two authorities of one name would confuse whoever trusts both; the key's hash keeps them apart.
  const serial = createHash("sha256").update(new Uint8Array(raw)).digest("hex").slice(0, 8);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=berth local CA ${serial}`,
    ...validity(now, authorityDays),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return bundleOf(certificate, keys.privateKey);
}

async function makeLeaf(authority: ServerCertificate, names: string[], now: number): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const issuer = new x509.X509Certificate(authority.cert);
  const der = createPrivateKey(authority.key).export({ format: "der", type: "pkcs8" });
  const signingKey = await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  const { notBefore, notAfter } = validity(now, leafDays);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${names[0] ?? "localhost"}`,
    issuer: issuer.subject,
    notBefore,
    // No chain is valid longer than its authority, and some clients refuse a leaf that claims to be.
    notAfter: new Date(Math.min(notAfter.getTime(), issuer.notAfter.getTime())),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value })),
      ),
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer, false),
    ],
  });
  return bundleOf(certificate, keys.privateKey);
}

/** A machine without a battery-backed clock may have made it in 1970, and nobody would be told why clients refuse it. */
function checkAuthority(file: string, { cert }: ServerCertificate, now: number): void {
  const { validFrom, validTo } = new X509Certificate(cert);
  if (Date.parse(validFrom) <= now && now < Date.parse(validTo) - dayMs) return;
  const mend =
    "is the clock right? else remove the directory it is in and give the new ca.pem to agents and proxies";
  const message = `the certificate authority in ${file} is valid from ${validFrom} to ${validTo} only (${mend})`;
  throw new BerthError("bad-authority", message, { who: file });
}

/** An hour's slack at the start: the clocks of the machines that trust it differ. */
function validity(now: number, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now - dayMs / 24), notAfter: new Date(now + days * dayMs) };
}

async function bundleOf(certificate: x509.X509Certificate, key: webcrypto.CryptoKey): Promise<string> {
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", key);
  return `${certificate.toString("pem")}\n${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`;
}

function parseBundle(file: string, bundle: string): ServerCertificate {
  try {
    const certificate = new X509Certificate(bundle);
    const key = createPrivateKey(bundle);
    const publicKey = createPublicKey(key).export({ format: "pem", type: "spki" });
    if (certificate.publicKey.export({ format: "pem", type: "spki" }) !== publicKey)
      throw new Error("key and certificate differ");
    return { cert: certificate.toString(), key: key.export({ format: "pem", type: "pkcs8" }).toString() };
  } catch (cause) {
    const mend = "restore it, or remove the directory it is in and give the new ca.pem to agents and proxies";
    throw new BerthError("bad-authority", `${file} is damaged (${mend})`, { who: file, cause });
  }
}

/** The kept leaf, or undefined when a new one is needed. */
function fitLeaf(
  file: string,
  bundle: string,
  ca: string,
  names: string[],
  now: number,
): ServerCertificate | undefined {
  try {
    const leaf = parseBundle(file, bundle);
    const certificate = new X509Certificate(leaf.cert);
    const issued = certificate.verify(new X509Certificate(ca).publicKey);
    const lasts = Date.parse(certificate.validTo) - now > renewalDays * dayMs;
    const covers = names.every((name) =>
      isIP(name) === 0 ? certificate.checkHost(name) !== undefined : certificate.checkIP(name) !== undefined,
    );
    return issued && lasts && covers ? leaf : undefined;
  } catch {
    // A damaged leaf is worth nothing and costs nothing to make anew.
    return undefined;
  }
}
