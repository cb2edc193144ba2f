import { createPrivateKey, createPublicKey } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { hostIdSchema } from "../shared/binding.ts";
import { hostIdOf, hostSigner, loadHostKey, readHostKey } from "./host-key.ts";

const der =
  "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const pem = Buffer.from(der, "hex").toString("base64");
const knownKey = `-----BEGIN PRIVATE KEY-----\n${pem}\n-----END PRIVATE KEY-----\n`;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "berth-key-"));
});
afterEach(() => rm(dir, { recursive: true }));

test("made at the first start, for its owner alone, and the same ever after", async () => {
  const first = await loadHostKey(dir);
  const again = await loadHostKey(dir);
  expect(hostIdOf(again)).toBe(hostIdOf(first));
  expect((await stat(join(dir, "host.key"))).mode & 0o777).toBe(0o600);
  expect(await readdir(dir)).toEqual(["host.key"]);
});

test("starts that race end with one key", async () => {
  const keys = await Promise.all(Array.from({ length: 12 }, () => loadHostKey(dir)));
  expect(new Set(keys.map(hostIdOf)).size).toBe(1);
});

test("the id is what the schema asks for, from either half of the key", async () => {
  const key = await loadHostKey(dir);
  expect(hostIdSchema.parse(hostIdOf(key))).toBe(hostIdOf(createPublicKey(key)));
});

// RFC 8032 §7.1, test 1: the 32-byte secret in PKCS #8, and the known public key's SHA-256 in RFC 4648 base32, computed apart.
test("the id of a known key", async () => {
  await writeFile(join(dir, "host.key"), knownKey);
  expect(hostIdOf(await loadHostKey(dir))).toBe("eh7ddx5bksrgcytl7bkai36se4nxx3klnk7elksyq57pi74xeg4q");
});

// RFC 8032 §7.1, test 1: the signature of no octets at all.
test("signs as the known key does, and names its public half", async () => {
  const signer = hostSigner(createPrivateKey(knownKey));
  expect(Buffer.from(signer.publicKey, "base64url").toString("hex")).toBe(
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  );
  expect(Buffer.from(await signer.sign(new Uint8Array())).toString("hex")).toBe(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  );
});

test.each(["", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])(
  "a damaged file is a fault that names it, and is left alone: %j",
  async (text) => {
    const path = join(dir, "host.key");
    await writeFile(path, text);
    await expect(loadHostKey(dir)).rejects.toThrow(/host\.key is damaged; restore it/);
    expect((await stat(path)).size).toBe(text.length);
  },
);

test("a directory in its place cannot be read", async () => {
  await mkdir(join(dir, "host.key"));
  await expect(loadHostKey(dir)).rejects.toMatchObject({ code: "bad-host-key", retryable: false });
});

test("reading alone never makes one", async () => {
  expect(await readHostKey(dir)).toBeUndefined();
  expect(await readdir(dir)).toEqual([]);
});
