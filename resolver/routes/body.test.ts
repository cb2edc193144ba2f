import { describe, expect, test } from "vitest";
import { z } from "zod";

import { readJsonBody, readOctets } from "./body.ts";

const schema = z.strictObject({ name: z.string().max(5), ports: z.array(z.int()).optional() });

function post(body: NonNullable<RequestInit["body"]>, headers: Record<string, string> = {}): Request {
  const all = { "content-type": "application/json", ...headers };
  return new Request("http://berth/", { method: "POST", headers: all, body, duplex: "half" });
}

/** A body without content-length, and what of it was asked for. */
function streamOf(chunks: Uint8Array[], fault?: Error) {
  const pulled = { octets: 0 };
  const left = [...chunks];
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = left.shift();
      pulled.octets += chunk?.length ?? 0;
      if (chunk !== undefined) controller.enqueue(chunk);
      else if (fault !== undefined) controller.error(fault);
      else controller.close();
    },
  });
  return { stream, pulled };
}

describe("a JSON body", () => {
  test("is read by its schema, whatever the type's letters and parameters", async () => {
    const request = post('{"name":"ünï"}', { "content-type": "Application/JSON; charset=utf-8" });
    expect(await readJsonBody(request, schema, 100)).toEqual({ name: "ünï" });
  });

  test("may come in pieces that cut a character in two", async () => {
    const octets = new TextEncoder().encode('{"name":"ü"}');
    const { stream } = streamOf([octets.slice(0, 10), octets.slice(10)]);
    expect(await readJsonBody(post(stream), schema, 100)).toEqual({ name: "ü" });
  });

  test.each([
    ["bad-content-type", post("{}", { "content-type": "text/plain" })],
    ["malformed-json", post("{")],
    ["malformed-json", post("")],
    ["malformed-json", post(new Uint8Array([34, 0xff, 34]))],
    ["malformed-json", post(streamOf([new Uint8Array(3)], new Error("reset")).stream)],
    ["body-too-large", post(`{"name":"${"a".repeat(100)}"}`)],
    ["body-too-large", post("{}", { "content-length": "101" })],
  ])("is refused as %s", async (code, request) => {
    await expect(readJsonBody(request, schema, 100)).rejects.toMatchObject({ code });
  });

  test("that is wrong is refused with where and why, 50 faults at most", async () => {
    const body = JSON.stringify({ name: "too long", ports: Array.from({ length: 80 }, () => "80") });
    const fault = await readJsonBody(post(body), schema, 1000).catch((thrown) => thrown);
    expect(fault).toMatchObject({ code: "invalid-body", message: "81 of its values are wrong" });
    expect(fault.facts.faults).toHaveLength(50);
    expect(fault.facts.faults[1]).toEqual({ path: "ports.0", message: expect.stringContaining("number") });
  });
});

describe("a body's octets", () => {
  test("are given as they came, up to the limit itself", async () => {
    const octets = Uint8Array.from({ length: 100 }, (_, index) => index);
    expect(await readOctets(post(octets), 100)).toEqual(octets);
    expect(await readOctets(new Request("http://berth/", { method: "DELETE" }), 100)).toEqual(
      new Uint8Array(),
    );
  });

  test("are not read far past the limit, however many there are", async () => {
    const { stream, pulled } = streamOf(Array.from({ length: 1000 }, () => new Uint8Array(50)));
    await expect(readOctets(post(stream), 100)).rejects.toMatchObject({ code: "body-too-large" });
    expect(pulled.octets).toBeLessThanOrEqual(250);
  });
});
