import { createHash, sign, verify } from "node:crypto";
import { describe, expect, test } from "vitest";

import {
  hostIdOfPublicKey,
  type SignableRequest,
  signatureBase,
  signRequest,
  verifyRequest,
} from "./signature.ts";
import { type InnerList, parseDictionary } from "./structured-fields.ts";
import { rfcPrivateKey, rfcPublicKey, signerOf, signerOfKey } from "./testing/test-signer.ts";

const signer = signerOf("a");
const hostId = (await hostIdOfPublicKey(signer.publicKey)) ?? "";
const components = ["@method", "@path", "authorization", "berth-epoch", "content-digest"];
const path = `/v1/hosts/${hostId}`;
const fields = {
  authorization: "Bearer secret-token",
  "berth-epoch": "1",
  "content-digest": "sha-256=:Zg==:",
};

interface Changes extends Partial<Omit<SignableRequest, "headers">> {
  headers?: Record<string, string>;
}

/** A request with a good signature of host a, then changed. */
async function signed(changed: Changes = {}, covered = components, claims = { nonce: "life" }) {
  const unsigned = { method: "PUT", path, headers: new Headers(fields) };
  const signature = await signRequest(signer, unsigned, covered, claims);
  const headers = new Headers({ ...fields, ...signature, ...changed.headers });
  return { ...unsigned, ...changed, headers };
}

function faultOf(request: SignableRequest, id = hostId): Promise<unknown> {
  return verifyRequest(request, components, id).catch((fault: unknown) => fault);
}

describe("the signature base", () => {
  // RFC 9421 §B.2.6, whole.
  const values: Record<string, string> = {
    date: "Tue, 20 Apr 2021 02:07:55 GMT",
    "@method": "POST",
    "@path": "/foo",
    "@authority": "example.com",
    "content-type": "application/json",
    "content-length": "18",
  };
  const input =
    'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"';
  const base = `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ${input.slice("sig-b26=".length)}`;
  const signature =
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";

  test("and its signature are those of RFC 9421 §B.2.6, and Node's crypto agrees", async () => {
    const covered = parseDictionary(input).get("sig-b26") as InnerList;
    expect(signatureBase(covered, (name) => values[name] ?? null)).toBe(base);
    expect(verify(null, Buffer.from(base), rfcPublicKey, Buffer.from(signature, "base64"))).toBe(true);
    expect(sign(null, Buffer.from(base), rfcPrivateKey).toString("base64")).toBe(signature);
  });

  test("is written the same however the parameters were spaced", () => {
    const spaced = parseDictionary(input.replace('("date"', '(  "date"').replaceAll(";", ";  "));
    expect(signatureBase(spaced.get("sig-b26") as InnerList, (name) => values[name] ?? null)).toBe(base);
  });
});

test("a line end in a value never becomes a component of its own", () => {
  const covered = parseDictionary('x=("authorization" "@path")').get("x") as InnerList;
  for (const value of ['a\n"@path": /', "a\r\n b", "a\0"]) {
    expect(() => signatureBase(covered, () => value)).toThrow("cannot be signed");
  }
});

describe("a signed request", () => {
  test("is verified, and tells its nonce; Node's crypto verifies it as well", async () => {
    const rfcSigner = signerOfKey(rfcPrivateKey);
    const id = (await hostIdOfPublicKey(rfcSigner.publicKey)) ?? "";
    const request = { method: "PUT", path, headers: new Headers(fields) };
    const claims = { nonce: 'li"fe', created: 1618884473 };
    const { "signature-input": input, signature } = await signRequest(rfcSigner, request, components, claims);
    const headers = new Headers({ ...fields, "signature-input": input, signature });
    expect(await verifyRequest({ ...request, headers }, components, id)).toBe('li"fe');
    const base = [
      '"@method": PUT',
      `"@path": ${path}`,
      '"authorization": Bearer secret-token',
      '"berth-epoch": 1',
      '"content-digest": sha-256=:Zg==:',
      `"@signature-params": ${input.replace("berth=", "")}`,
    ].join("\n");
    const octets = Buffer.from(signature.slice("berth=:".length, -1), "base64");
    expect(verify(null, Buffer.from(base), rfcPublicKey, octets)).toBe(true);
  });

  test("may have other signatures beside it, other fields covered, and parameters of its own", async () => {
    const { headers, ...rest } = await signed();
    headers.append("signature-input", 'proxy=("@authority");tag="x"');
    headers.append("signature", "proxy=:Zg==:");
    expect(await verifyRequest({ ...rest, headers }, components, hostId)).toBe("life");

    const more = { ...fields, "x-more": "yes" };
    const unsigned = { method: "PUT", path, headers: new Headers(more) };
    const all = [...components, "x-more"];
    const extra = await signRequest(signer, unsigned, all, { nonce: "", created: 5 });
    const request = { ...unsigned, headers: new Headers({ ...more, ...extra }) };
    expect(await verifyRequest(request, components, hostId)).toBe("");

    const tagged = { ...signer, sign: async (data: Uint8Array) => signer.sign(tag(data)) };
    const { "signature-input": input, signature } = await signRequest(tagged, unsigned, all, { nonce: "" });
    const withTag = new Headers({ ...more, "signature-input": `${input};tag="x";expires=1`, signature });
    expect(await verifyRequest({ ...unsigned, headers: withTag }, components, hostId)).toBe("");
  });

  test("may spell a field over two lines, or with white space around it", async () => {
    const request = { method: "PUT", path, headers: new Headers({ ...fields, "berth-epoch": "1, 2" }) };
    const signature = await signRequest(signer, request, components, { nonce: "" });
    const headers = new Headers({ ...fields, ...signature, authorization: "  Bearer secret-token\t" });
    headers.append("berth-epoch", " 2 ");
    expect(await verifyRequest({ ...request, headers }, components, hostId)).toBe("");
  });
});

/** What the signature base of `data` ends in when the parameters go on. */
function tag(data: Uint8Array): Uint8Array {
  return new TextEncoder().encode(`${new TextDecoder().decode(data)};tag="x";expires=1`);
}

describe("is refused", () => {
  test.each<[string, Changes, string]>([
    ["another method", { method: "DELETE" }, "not that key's"],
    ["another path", { path: `${path}/lease` }, "not that key's"],
    ["a prefix of the path", { path: `/berth${path}` }, "not that key's"],
    ["another token", { headers: { authorization: "Bearer other-token" } }, "not that key's"],
    ["another epoch", { headers: { "berth-epoch": "2" } }, "not that key's"],
    ["another digest", { headers: { "content-digest": "sha-256=:Zw==:" } }, "not that key's"],
    ["an empty field", { headers: { "berth-epoch": "" } }, "not that key's"],
    ["white space within a field", { headers: { authorization: "Bearer  secret-token" } }, "not that key's"],
    ["a field beyond ASCII", { headers: { authorization: "Bearer secret-tokén" } }, "cannot be signed"],
    ["no signature", { headers: { signature: "" } }, 'no member "berth"'],
    ["a signature of another label", { headers: { signature: "other=:Zg==:" } }, 'no member "berth"'],
    [
      "two signatures of the label",
      { headers: { signature: "berth=:Zg==:, berth=:Zg==:" } },
      'no second "berth"',
    ],
    ["a short signature", { headers: { signature: "berth=:Zg==:" } }, "64 octets"],
    ["a signature in text", { headers: { signature: 'berth="x"' } }, "64 octets"],
    [
      "a zero signature",
      { headers: { signature: `berth=:${Buffer.alloc(64).toString("base64")}:` } },
      "not that key's",
    ],
    ["a malformed field", { headers: { signature: "berth=:" } }, "malformed at character 7"],
    ["a huge field", { headers: { signature: `berth=:${"A".repeat(9000)}:` } }, "over 8192"],
    ["a huge input", { headers: { "signature-input": `berth=("${"x".repeat(9000)}")` } }, "over 8192"],
    ["an input of another shape", { headers: { "signature-input": "berth=1" } }, "not a list"],
  ])("%s", async (_, changed, message) => {
    const fault = await faultOf(await signed(changed));
    expect(fault).toMatchObject({ code: "bad-signature", message: expect.stringContaining(message) });
    expect(String(fault)).not.toContain("secret-tok");
  });

  test.each<[string, (input: string) => string, string]>([
    [
      "a component that is missing",
      (input) => input.replace(' "berth-epoch"', ""),
      "does not cover berth-epoch",
    ],
    ["a component twice", (input) => input.replace('"@path"', '"@path" "@path"'), "covers @path twice"],
    ["a component with a parameter", (input) => input.replace('"@path"', '"@path";req'), "has parameters"],
    ["a component that is a token", (input) => input.replace('"@path"', "path"), "must be strings"],
    ["a component that is not there", (input) => input.replace(")", ' "x-more")'), "covers x-more, which"],
    [
      "a derived component not known here",
      (input) => input.replace(")", ' "@authority")'),
      "covers @authority, which",
    ],
    [
      "a field name in capitals",
      (input) => input.replace(")", ' "Berth-Epoch")'),
      "covers Berth-Epoch, which",
    ],
    ["a field name that is none", (input) => input.replace(")", ' "x y")'), "covers x y, which"],
    ["another algorithm", (input) => input.replace('alg="ed25519"', 'alg="hmac-sha256"'), "alg must be"],
    ["no algorithm", (input) => input.replace(';alg="ed25519"', ""), "parameter alg"],
    ["no nonce", (input) => input.replace(/;nonce="\w*"/, ""), "parameter nonce"],
    ["a nonce that is a number", (input) => input.replace(/nonce="\w*"/, "nonce=1"), "parameter nonce"],
    ["another nonce", (input) => input.replace('"life"', '"past"'), "not that key's"],
    ["two nonces", (input) => `${input};nonce="x"`, 'no second "nonce"'],
    [
      "a key of another host",
      (input) => input.replace(signer.publicKey, signerOf("b").publicKey),
      "SHA-256 is the host id",
    ],
    ["a key that is none", (input) => input.replace(signer.publicKey, "x"), "SHA-256 is the host id"],
    [
      "another order of components",
      (input) => input.replace('"@method" "@path"', '"@path" "@method"'),
      "not that key's",
    ],
  ])("%s", async (_, change, message) => {
    const request = await signed();
    request.headers.set("signature-input", change(request.headers.get("signature-input") ?? ""));
    const fault = await faultOf(request);
    expect(fault).toMatchObject({ code: "bad-signature", message: expect.stringContaining(message) });
  });

  test("in one line, however long what is wrong is", async () => {
    const request = await signed();
    const input = (request.headers.get("signature-input") ?? "").replace(")", ` "${"x".repeat(4000)}")`);
    request.headers.set("signature-input", input);
    expect(String(await faultOf(request)).length).toBeLessThan(500);
  });

  test("for another host than the key's", async () => {
    const other = (await hostIdOfPublicKey(signerOf("b").publicKey)) ?? "";
    expect(await faultOf(await signed(), other)).toMatchObject({ code: "bad-signature" });
  });

  test("a request that lost its fields on the way", async () => {
    for (const field of ["signature", "signature-input", "authorization", "content-digest"]) {
      const request = await signed();
      request.headers.delete(field);
      const message = expect.stringContaining(field);
      expect(await faultOf(request), field).toMatchObject({ code: "bad-signature", message });
    }
  });
});

describe("a host id", () => {
  test("is the SHA-256 of the raw key in base32", async () => {
    const digest = createHash("sha256").update(Buffer.from(signer.publicKey, "base64url")).digest("hex");
    const bits = BigInt(`0x${digest}`).toString(2).padStart(256, "0").padEnd(260, "0");
    const letters = bits
      .match(/.{5}/g)
      ?.map((five) => "abcdefghijklmnopqrstuvwxyz234567"[Number(`0b${five}`)]);
    expect(hostId).toBe(letters?.join(""));
    expect(hostId).toHaveLength(52);
  });

  test.each([
    ["nothing", ""],
    ["31 octets", Buffer.alloc(31).toString("base64url")],
    ["33 octets", Buffer.alloc(33).toString("base64url")],
    ["padding", `${Buffer.alloc(32).toString("base64")}`],
    ["no base64url", "?".repeat(43)],
  ])("is nobody's for a key of %s", async (_, text) => {
    expect(await hostIdOfPublicKey(text)).toBeUndefined();
  });
});
