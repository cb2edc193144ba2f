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

describe("a reply without end", () => {
  const octets = new Uint8Array(1024 * 1024).fill(0x20);
  let sent = 0;
  let isCalledOff = false;
  const endless = (status: number) => {
    sent = 0;
    isCalledOff = false;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        sent++;
        if (sent > 64) controller.error(new Error("it was read on and on"));
        else controller.enqueue(octets);
      },
      cancel() {
        isCalledOff = true;
      },
    });
    return answering(new Response(body, { status })).access;
  };

  test.each([
    ["a list of zones", 200, (access: LookupAccess) => listZones(access)],
    ["a list of ports", 200, (access: LookupAccess) => portsOfName(access, name)],
    ["a fault", 503, (access: LookupAccess) => listZones(access)],
  ])("in the place of %s is not read to its end, and is no resolver's", async (_, status, ask) => {
    await expect(ask(endless(status))).rejects.toMatchObject({ code: "bad-reply" });
    expect(sent).toBeLessThan(32);
    expect(isCalledOff).toBe(true);
  });
});

test("all ports there are can be told", async () => {
  const ports = (["tcp", "udp"] as const).flatMap((protocol) =>
    Array.from({ length: 65_535 }, (_, index) => ({ protocol, servicePort: index + 1 })),
  );
  const { access } = answering(Response.json({ ...list, ports }));
  expect((await portsOfName(access, name))?.ports).toHaveLength(131_070);
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
