import { expect, test } from "vitest";

import { contentDigestOf, matchesContentDigest } from "../shared/content-digest.ts";
import { hostIdOfPublicKey, signRequest, verifyRequest } from "../shared/signature.ts";

// RFC 9421 §B.1.4, as JSON Web Key: workerd's own Ed25519 makes and judges these signatures.
const jwk = {
  kty: "OKP",
  crv: "Ed25519",
  d: "n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU",
  x: "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs",
};
const components = ["@method", "@path", "authorization", "berth-epoch", "berth-sequence", "content-digest"];

test("in workerd a signature is the one docs/protocol.md shows, and is verified", async () => {
  const key = await crypto.subtle.importKey("jwk", jwk, "Ed25519", false, ["sign"]);
  const signer = {
    publicKey: jwk.x,
    sign: async (data: Uint8Array) =>
      new Uint8Array(await crypto.subtle.sign("Ed25519", key, new Uint8Array(data))),
  };
  const hostId = (await hostIdOfPublicKey(jwk.x)) ?? "";
  const body = new TextEncoder().encode(
    '{"lease":15,"digest":"00bd2eb7b1adc6cf6b589c5f7019498aeeb2f162bf825839a4f408dfa757add9"}',
  );
  const headers = new Headers({
    authorization: "Bearer example-agent-token-of-some-length",
    "berth-epoch": "1",
    "berth-sequence": "7",
    "content-digest": await contentDigestOf(body),
  });
  const request = { method: "PUT", path: `/v1/hosts/${hostId}/lease`, headers };
  const claims = { nonce: "5mZ0w2tKq1s", created: 1_800_000_000 };
  const fields = await signRequest(signer, request, components, claims);
  expect(fields.signature).toBe(
    "berth=:FxWlOgKbYBUhLOsR0L92CBboOTD1AvtYy1PR4L1ENZwZpXEfywMWoM5KiTyyRHDe6uEcFbmmz5ole3L4QJYeDg==:",
  );
  for (const [name, value] of Object.entries(fields)) headers.set(name, value);
  expect(await verifyRequest(request, components, hostId)).toBe("5mZ0w2tKq1s");
  expect(await matchesContentDigest(headers.get("content-digest") ?? "", body)).toBe(true);
  const moved = verifyRequest({ ...request, method: "POST" }, components, hostId);
  await expect(moved).rejects.toMatchObject({ code: "bad-signature" });
});

test("in workerd a key that is no point of the curve is refused, and nothing breaks", async () => {
  const publicKey = `${"_".repeat(42)}8`;
  const hostId = (await hostIdOfPublicKey(publicKey)) ?? "";
  const headers = new Headers({ x: "1" });
  const signer = { publicKey, sign: async () => new Uint8Array(64) };
  const fields = await signRequest(signer, { method: "GET", path: "/", headers }, ["x"], { nonce: "" });
  for (const [name, value] of Object.entries(fields)) headers.set(name, value);
  const verdict = verifyRequest({ method: "GET", path: "/", headers }, ["x"], hostId);
  await expect(verdict).rejects.toMatchObject({ code: "bad-signature" });
});
