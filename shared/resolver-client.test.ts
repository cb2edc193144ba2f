import { describe, expect, test } from "vitest";

import { matchesContentDigest } from "./content-digest.ts";
import {
  observedAddress,
  pushBindings,
  pushDelta,
  type ResolverAccess,
  renewLease,
  withdrawHost,
} from "./resolver-client.ts";
import { hostIdOfPublicKey, verifyRequest } from "./signature.ts";
import { linkComponents, signedHeaders, turnComponents } from "./signed-headers.ts";
import { signerOf } from "./testing/test-signer.ts";

const signer = signerOf("a");
const hostId = (await hostIdOfPublicKey(signer.publicKey)) ?? "";
const accepted = { lease: 15, revision: 3, grantsRevision: 2, hostLabel: "nas", refused: [] };
const digest = "0".repeat(64);
const set = { hostLabel: "nas", addresses: [], local: false, problems: [] };
const turn = { epoch: 2, sequence: 7 };
const renewal = { ...turn, lease: 15, digest };

interface Seen {
  method: string;
  path: string;
  turn: string;
  nonce: string;
  body: string;
}

/** A resolver in its life "now" that judges signatures and nothing else. `answers` are its replies to what is signed well. */
function judge(answers: (() => Response)[] = [], life = () => "now") {
  const seen: Seen[] = [];
  const fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const body = new Uint8Array(await request.arrayBuffer());
    const { method, headers } = request;
    const path = new URL(request.url).pathname;
    const covered = body.length > 0 ? [...turnComponents, "content-digest"] : turnComponents;
    const nonce = await verifyRequest({ method, path, headers }, covered, hostId);
    if (body.length > 0)
      expect(await matchesContentDigest(headers.get("content-digest") ?? "", body)).toBe(true);
    const told = `${headers.get("berth-epoch")}.${headers.get("berth-sequence")}`;
    seen.push({ method, path, turn: told, nonce, body: new TextDecoder().decode(body) });
    if (nonce !== life()) return refusal(401, "unknown-generation", { generation: life() });
    return answers.shift()?.() ?? Response.json(accepted);
  };
  return { seen, fetch };
}

function refusal(status: number, code: string, facts: object = {}): Response {
  return Response.json({ error: { code, message: "because", ...facts } }, { status });
}

function accessTo(fetch: ResolverAccess["fetch"], changed: Partial<ResolverAccess> = {}): ResolverAccess {
  const url = "https://berth.example";
  return {
    fetch,
    url,
    token: "secret-token",
    timeoutMs: 5000,
    signer,
    generation: { current: "now" },
    ...changed,
  };
}

describe("what speaks for a host is signed by its key", () => {
  test("whichever request it is, over the octets that are sent, and says nothing of its turn in the body", async () => {
    const peer = judge([
      ...Array(3).fill(() => Response.json(accepted)),
      () => new Response(null, { status: 204 }),
    ]);
    const access = accessTo(peer.fetch);
    const delta = { base: "1".repeat(64), declared: set, changed: [], gone: [] };
    await pushBindings(access, hostId, { ...renewal, declared: { ...set, bindings: [] } });
    await pushDelta(access, hostId, { ...renewal, ...delta });
    await renewLease(access, hostId, renewal);
    expect(await withdrawHost(access, hostId, turn)).toBe(true);
    const path = `/v1/hosts/${hostId}`;
    const shown = peer.seen.map((seen) => [
      seen.method,
      seen.path,
      seen.turn,
      seen.body && JSON.parse(seen.body),
    ]);
    expect(shown).toEqual([
      ["PUT", path, "2.7", { lease: 15, digest, declared: { ...set, bindings: [] } }],
      ["PATCH", path, "2.7", { lease: 15, digest, ...delta }],
      ["PUT", `${path}/lease`, "2.7", { lease: 15, digest }],
      ["DELETE", path, "2.7", ""],
    ]);
  });

  test("over the path that is asked for, behind a reverse proxy too", async () => {
    const peer = judge();
    await renewLease(accessTo(peer.fetch, { url: "https://proxy.example/berth/" }), hostId, renewal);
    expect(peer.seen[0]?.path).toBe(`/berth/v1/hosts/${hostId}/lease`);
  });

  test("with the upgrade to a link, which has its own fields covered", async () => {
    const path = `/v1/hosts/${hostId}/link`;
    const own = { "berth-digest": digest, "berth-lease": "15" };
    const headers = await signedHeaders(accessTo(fetch), { method: "GET", path, headers: own }, turn);
    const request = { method: "GET", path, headers: new Headers(headers) };
    expect(await verifyRequest(request, [...turnComponents, ...linkComponents], hostId)).toBe("now");
    expect(headers["signature-input"]).not.toContain("content-digest");
  });

  test("with the time, where there is a clock", async () => {
    const request = { method: "DELETE", path: `/v1/hosts/${hostId}` };
    const withClock = await signedHeaders(accessTo(fetch, { now: () => 1618884473999 }), request, turn);
    expect(withClock["signature-input"]).toContain(";created=1618884473;keyid=");
    const without = await signedHeaders(accessTo(fetch), request, turn);
    expect(without["signature-input"]).not.toContain("created");
  });

  test("and never with the token or the key in a fault", async () => {
    const peer = judge([() => refusal(401, "bad-signature")]);
    const fault = await renewLease(accessTo(peer.fetch), hostId, renewal).catch(String);
    expect(fault).toContain("because");
    expect(fault).not.toMatch(new RegExp(`secret-token|${signer.publicKey}`));
  });
});

describe("another life of the registry", () => {
  test("is learnt from the first refusal: the same turn is signed for it and sent once more", async () => {
    const peer = judge();
    const generation = { current: "" };
    expect(await renewLease(accessTo(peer.fetch, { generation }), hostId, renewal)).toEqual(accepted);
    expect(peer.seen.map((seen) => [seen.nonce, seen.turn])).toEqual([
      ["", "2.7"],
      ["now", "2.7"],
    ]);
    await renewLease(accessTo(peer.fetch, { generation }), hostId, renewal);
    expect(peer.seen.map((seen) => seen.nonce)).toEqual(["", "now", "now"]);
  });

  test("is learnt without a memory too, at every request", async () => {
    const peer = judge();
    const { generation: _, ...access } = accessTo(peer.fetch);
    await renewLease(access, hostId, renewal);
    await renewLease(access, hostId, renewal);
    expect(peer.seen.map((seen) => seen.nonce)).toEqual(["", "now", "", "now"]);
  });

  test("is asked for once: a registry that changes its life with every request is not followed for ever", async () => {
    let lives = 0;
    const peer = judge([], () => `life ${++lives}`);
    await expect(renewLease(accessTo(peer.fetch), hostId, renewal)).rejects.toMatchObject({
      code: "unknown-generation",
    });
    expect(peer.seen).toHaveLength(2);
  });

  test("is waited for within one time limit", async () => {
    const signals = new Set<AbortSignal | null | undefined>();
    const peer = judge();
    const watched: ResolverAccess["fetch"] = (input, init) => {
      signals.add(init?.signal);
      return peer.fetch(input as string, init);
    };
    await renewLease(accessTo(watched, { generation: { current: "past" } }), hostId, renewal);
    expect(peer.seen).toHaveLength(2);
    expect(signals.size).toBe(1);
  });
});

test("the observed address is asked for unsigned, and comes in its one form or not at all", async () => {
  const seen: Request[] = [];
  const observe = (address: string) =>
    observedAddress(
      accessTo(async (input, init) => {
        seen.push(new Request(input, init));
        return Response.json({ address });
      }),
    );
  expect(await observe("::ffff:203.0.113.9")).toBe("203.0.113.9");
  expect(await observe("2001:DB8::9")).toBe("2001:db8::9");
  await expect(observe("nas.example")).rejects.toMatchObject({ code: "bad-reply" });
  const [first] = seen;
  expect([first?.method, first?.url]).toEqual(["GET", "https://berth.example/v1/observed"]);
  expect(first?.headers.get("authorization")).toBe("Bearer secret-token");
  expect(first?.headers.has("signature")).toBe(false);
});

test("without a key a request goes unsigned, and a refusal is not repeated", async () => {
  const seen: Headers[] = [];
  const { signer: _, ...access } = accessTo(async (_input, init) => {
    seen.push(new Headers(init?.headers));
    return refusal(401, "unknown-generation", { generation: "x" });
  });
  const fault = { code: "unknown-generation" };
  await expect(renewLease(access, hostId, renewal)).rejects.toMatchObject(fault);
  await expect(withdrawHost(access, hostId)).rejects.toMatchObject(fault);
  expect(seen.map((headers) => headers.has("signature"))).toEqual([false, false]);
  expect(seen[1]?.has("berth-epoch")).toBe(false);
});
