import { describe, expect, test } from "vitest";

import { parseName } from "./name.ts";
import { type LookupAccess, listZones, portsOfName } from "./resolver-client.ts";

const name = parseName("web.shop.berth.internal");
const list = {
  revision: 7,
  zone: "berth.internal.",
  name,
  ports: [{ protocol: "tcp" as const, servicePort: 80 }],
};

/** A resolver that gives one reply, and what it was asked. */
function answering(reply: Response, changed: Partial<LookupAccess> = {}) {
  const asked: { url: string; headers: Record<string, string>; signal: AbortSignal }[] = [];
  const fetch: LookupAccess["fetch"] = async (url, { headers, signal }) => {
    asked.push({ url, headers, signal });
    return reply;
  };
  return { asked, access: { fetch, url: "https://berth.example/path/", timeoutMs: 5_000, ...changed } };
}

function refusal(status: number, code: string): Response {
  return Response.json({ error: { code, message: "because" } }, { status });
}

test("the zones are asked for without a token where there is none", async () => {
  const { asked, access } = answering(Response.json({ zones: ["Berth.Internal", "example.org."] }));
  expect(await listZones(access)).toEqual(["berth.internal.", "example.org."]);
  expect(asked).toMatchObject([{ url: "https://berth.example/path/v1/zones", headers: {} }]);
  expect(asked[0]?.headers).toEqual({});
});

test("a token is presented where there is one", async () => {
  const { asked, access } = answering(Response.json({ zones: [] }), { token: "secret-token" });
  await listZones(access);
  expect(asked[0]?.headers).toEqual({ authorization: "Bearer secret-token" });
});

describe("the ports of a name", () => {
  test("are asked for by the name", async () => {
    const { asked, access } = answering(Response.json(list));
    expect(await portsOfName(access, name)).toEqual(list);
    expect(asked[0]?.url).toBe("https://berth.example/path/v1/names/web.shop.berth.internal");
  });

  test("are asked for past every copy when they have to be fresh, for as long as the caller waits", async () => {
    const { asked, access } = answering(Response.json(list));
    const { signal } = new AbortController();
    await portsOfName(access, name, { fresh: true, signal });
    expect(asked[0]?.headers).toEqual({ "cache-control": "no-cache" });
    expect(asked[0]?.signal).toBe(signal);
  });

  test("are undefined when the name has none", async () => {
    const { access } = answering(refusal(404, "unknown-name"));
    expect(await portsOfName(access, name)).toBeUndefined();
  });

  test.each([
    ["not-found", refusal(404, "not-found")],
    ["unknown-token", refusal(401, "unknown-token")],
    ["store-unavailable", refusal(503, "store-unavailable")],
    ["bad-reply", new Response("<p>not found", { status: 404 })],
    ["bad-reply", Response.json({ ...list, ports: [] })],
  ])("are a fault, not none, at %s", async (code, reply) => {
    const { access } = answering(reply);
    await expect(portsOfName(access, name)).rejects.toMatchObject({ code });
  });
});
