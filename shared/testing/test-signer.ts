import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";

import type { HostSigner } from "../signature.ts";

/** RFC 9421 §B.1.4, test-key-ed25519; its public half is §B.1.4's as well. */
export const rfcPrivateKey = createPrivateKey(`-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----`);
export const rfcPublicKey = createPublicKey(`-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----`);

/** A host of its own for every letter, the same in every run: its key's seed is that letter 32 times. */
export function signerOf(letter: string): HostSigner {
  // The fixed head of a PKCS #8 Ed25519 key (RFC 8410 §7), and its 32 octets.
  const head = Buffer.from("302e020100300506032b657004220420", "hex");
  const key = Buffer.concat([head, Buffer.alloc(32, letter)]);
  return signerOfKey(createPrivateKey({ key, format: "der", type: "pkcs8" }));
}

/** Node's own Ed25519, not WebCrypto's: a second opinion on every signature. */
export function signerOfKey(privateKey: KeyObject): HostSigner {
  return {
    publicKey: createPublicKey(privateKey).export({ format: "jwk" }).x ?? "",
    sign: async (data) => sign(null, data, privateKey),
  };
}
