import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "./process.ts";

export type EtcdCertificates = { caFile: string; certFile: string; keyFile: string };

/** A CA, and a certificate of it for loopback, in `dir`. Members show it to clients and to each other. */
export async function makeCertificates(dir: string): Promise<EtcdCertificates> {
  const ca = await makeCa(dir, "ca");
  const [keyFile, requestFile, certFile] = ["member.key", "member.csr", "member.pem"].map((name) =>
    join(dir, name),
  ) as [string, string, string];
  const subject = ["-subj", "/CN=etcd"];
  await mustRun(["openssl", "req", ...newKey, "-nodes", "-keyout", keyFile, "-out", requestFile, ...subject]);
  const extensions = join(dir, "member.ext");
  // The JSON gateway connects to its own member with this certificate as the client's.
  const usage = "extendedKeyUsage=serverAuth,clientAuth";
  writeFileSync(extensions, `subjectAltName=IP:127.0.0.1,DNS:localhost\n${usage}\n`);
  const signer = ["-CA", ca.certFile, "-CAkey", ca.keyFile, "-CAcreateserial"];
  const output = ["-out", certFile, "-days", "2", "-extfile", extensions];
  await mustRun(["openssl", "x509", "-req", "-in", requestFile, ...signer, ...output]);
  return { caFile: ca.certFile, certFile, keyFile };
}

/** A CA that signed nothing here, in PEM. */
export async function makeForeignCa(dir: string): Promise<string> {
  return readFileSync((await makeCa(dir, "foreign")).certFile, "utf8");
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

async function makeCa(dir: string, name: string): Promise<{ certFile: string; keyFile: string }> {
  const [keyFile, certFile] = [join(dir, `${name}.key`), join(dir, `${name}.pem`)];
  const subject = ["-subj", `/CN=berth test ${name}`, "-days", "2"];
  await mustRun([
    "openssl",
    "req",
    "-x509",
    ...newKey,
    "-nodes",
    "-keyout",
    keyFile,
    "-out",
    certFile,
    ...subject,
  ]);
  return { certFile, keyFile };
}
