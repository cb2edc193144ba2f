import { describe, expect, test } from "vitest";

import {
  dnsMessageType,
  messageFromRequest,
  messageFromResponse,
  requestFromMessage,
  responseFromMessage,
} from "./doh.ts";

const url = "https://127.0.0.1/dns-query";
const message = Uint8Array.from([0, 1, 250, 251, 252, 253, 254, 255]);
const get = (dns: string) => new Request(`${url}?dns=${dns}`);
const encode = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");

describe("a request", () => {
  test("goes out as a POST that says what it is, and comes in the same", async () => {
    const request = new Request(url, requestFromMessage(message, false));
    expect(request.method).toBe("POST");
    expect(request.headers.get("content-type")).toBe(dnsMessageType);
    expect(request.headers.get("accept")).toBe(dnsMessageType);
    expect(request.headers.get("cache-control")).toBeNull();
    expect(await messageFromRequest(request)).toEqual(message);
    expect(requestFromMessage(message, true).headers).toMatchObject({ "cache-control": "no-cache" });
  });

  test.each([0, 1, 2, 3, 65_535])("by GET carries %i octets of base64url", async (length) => {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 7);
    expect(await messageFromRequest(get(encode(bytes)))).toEqual(bytes);
  });

  test.each([
    ["a character too long", "A".repeat(87_381), "body-too-large"],
    ["of a length no octets have", "AAAAA", "malformed-message"],
    ["padded", "AAA=", "malformed-message"],
    ["base64's own +", "AA+A", "malformed-message"],
    ["percent-encoded", "%00", "malformed-message"],
    ["with white space", "AA%20AA", "malformed-message"],
  ])("by GET %s is refused", async (_, dns, code) => {
    await expect(messageFromRequest(get(dns))).rejects.toMatchObject({ code });
  });

  test("by another method is refused", async () => {
    await expect(messageFromRequest(new Request(url, { method: "PUT", body: "x" }))).rejects.toMatchObject({
      code: "method-not-allowed",
    });
  });
});

describe("a response", () => {
  test.each([
    [5, "max-age=5"],
    [0, "no-store"],
  ])("that lasts %i s says %s", async (maxAge, header) => {
    const response = responseFromMessage(message, maxAge);
    expect(response.headers.get("cache-control")).toBe(header);
    expect(await messageFromResponse(response)).toEqual(message);
  });

  test.each([
    [404, dnsMessageType, false],
    [429, dnsMessageType, true],
    [502, "text/html", true],
    [200, "text/html", false],
    [200, `${dnsMessageType}x`, false],
    [204, undefined, false],
  ])("of status %i and type %s is no answer; worth another try: %s", async (status, type, retryable) => {
    const headers = type === undefined ? {} : { "content-type": type };
    const response = new Response(status === 204 ? null : "x", { status, headers });
    await expect(messageFromResponse(response)).rejects.toMatchObject({ code: "doh-failed", retryable });
  });
});
