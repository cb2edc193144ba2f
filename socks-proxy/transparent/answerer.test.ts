import { describe, expect, test } from "vitest";

import { seededRandom } from "../../client/testing/random.ts";
import type { Address } from "../../shared/address.ts";
import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { decodeResponse, encodeQuery, maxMessageLength } from "../../shared/dns/message.ts";
import { type Name, parseName } from "../../shared/name.ts";
import { type AnswererPorts, createAnswerer } from "./answerer.ts";
import type { Found } from "./served-names.ts";
import { FakeStub } from "./testing/fake-stub.ts";

const web = parseName("web.berth.internal");
const outside = parseName("www.example.com");

function answererWith(given: Partial<AnswererPorts> & { found?: Found } = {}) {
  const stub = new FakeStub();
  stub.set("web.berth.internal", { protocol: "tcp", port: 80, to: 9 });
  const served: Found = { kind: "served", ipv4: "127.64.0.5" as Address, ipv6: undefined };
  return createAnswerer({
    stub,
    zoneSoon: async () => undefined,
    find: async (name) => (name === web ? (given.found ?? served) : { kind: "none", answer: undefined }),
    nameAt: () => undefined,
    isOurs: (address) => address.startsWith("127.64."),
    forward: async () => undefined,
    onRebinding: () => {},
    resolveMs: 1_000,
    ...given,
  });
}

async function rcodeOf(answerer: ReturnType<typeof createAnswerer>, name: Name, type: number = RRType.A) {
  const answer = await answerer(encodeQuery(name, type), "udp");
  return answer === undefined ? undefined : decodeResponse(answer).rcode;
}

describe("an answer", () => {
  test("is SERVFAIL for a name outside that no server answers, and when every address is taken", async () => {
    expect(await rcodeOf(answererWith(), outside)).toBe(Rcode.ServFail);
    expect(await rcodeOf(answererWith({ found: { kind: "exhausted" } }), web)).toBe(Rcode.ServFail);
  });

  test("says at its own address which zones it knows", async () => {
    const answerer = answererWith({ ownAddress: "127.64.0.1" as Address });
    const bytes = await answerer(encodeQuery(parseName("1.0.64.127.in-addr.arpa"), RRType.PTR), "udp");
    const { answer } = decodeResponse(bytes ?? expect.fail("no answer"));
    expect(answer.map(({ rdata }) => rdata)).toEqual([
      { type: RRType.PTR, target: "_berth-probe.berth.internal." },
    ]);
  });

  test("is the zone's own for a name of a zone that is only just learnt", async () => {
    const learnt = parseName("example.com");
    const answerer = answererWith({
      zoneSoon: async () => learnt,
      find: async () => ({ kind: "exhausted" }),
    });
    const forwarded = answererWith({ forward: async (message) => asAnswer(message) });
    expect(await rcodeOf(answerer, outside)).toBe(Rcode.ServFail);
    expect(await rcodeOf(forwarded, outside)).toBe(Rcode.NoError);
  });

  test("is asked of the servers outside by the transport it was asked by", async () => {
    const transports: string[] = [];
    const answerer = answererWith({
      async forward(message, transport) {
        transports.push(transport);
        return asAnswer(message);
      },
    });
    const query = encodeQuery(outside, RRType.A);
    await answerer(query, "udp");
    await answerer(query, "tcp");
    expect(transports).toEqual(["udp", "tcp"]);
  });
});

test("no octets make it fail, or answer more than was asked for", async () => {
  const answerer = answererWith({ forward: async () => new Uint8Array(4_000) });
  const random = seededRandom(53);
  const seeds = [
    web,
    outside,
    parseName("_80._tcp.web.berth.internal"),
    parseName("5.0.64.127.in-addr.arpa"),
  ];
  for (let round = 0; round < 3_000; round++) {
    const seed = encodeQuery(seeds[round % seeds.length] ?? web, RRType.A);
    const message = Uint8Array.from(seed).subarray(0, Math.ceil(random() * 1.3 * seed.length));
    for (let i = random() * 4; i > 0; i--) {
      message[Math.floor(random() * message.length)] = Math.floor(random() * 256);
    }
    const byUdp = await answerer(message, "udp");
    expect(byUdp?.length ?? 0).toBeLessThanOrEqual(512);
    expect((await answerer(message, "tcp"))?.length ?? 0).toBeLessThanOrEqual(maxMessageLength);
    if (byUdp !== undefined) expect([byUdp[0], byUdp[1]]).toEqual([message[0], message[1]]);
  }
});

function asAnswer(message: Uint8Array): Uint8Array {
  const answer = Uint8Array.from(message);
  answer[2] = 0x80;
  return answer;
}
