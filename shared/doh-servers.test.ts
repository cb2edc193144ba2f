import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { dnsMessageType } from "./dns/doh.ts";
import { decodeQuery, encodeResponse } from "./dns/message.ts";
import { type DohServers, queryDohServers } from "./doh-servers.ts";
import { parseName } from "./name.ts";
import { ResolverChoice } from "./resolver-choice.ts";

const name = parseName("web.berth.internal");
const noSignal = new AbortController().signal;
const [NoError, ServFail, NXDomain, Refused] = [0, 2, 3, 5];

/** What a peer does with a question: an rcode, an HTTP status, or nothing. */
interface Peer {
  reply: { rcode: number } | { status: number } | "silence";
  /** Answers with 401 whoever does not present it. */
  token?: string;
  url: string;
  /** The authorization of each question, "" where there was none. */
  asked: string[];
  close(): void;
}

async function startPeer(reply: Peer["reply"] = { rcode: NoError }): Promise<Peer> {
  const peer: Peer = { reply, url: "", asked: [], close };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { authorization = "" } = request.headers;
      peer.asked.push(authorization);
      if (peer.reply === "silence") return;
      const isRefused = peer.token !== undefined && authorization !== `Bearer ${peer.token}`;
      if (isRefused) return void response.writeHead(401).end();
      if ("status" in peer.reply) return void response.writeHead(peer.reply.status).end();
      const { rcode } = peer.reply;
      const parts = { rcode, authoritative: true, answer: [], authority: [], additional: [] };
      response.writeHead(200, { "content-type": dnsMessageType });
      response.end(encodeResponse(decodeQuery(Buffer.concat(chunks)), parts));
    });
  });
  function close(): void {
    server.closeAllConnections();
    server.close();
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(close);
  peer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/dns-query`;
  return peer;
}

function serversOf(peers: Peer[], changed: Partial<DohServers> = {}): DohServers {
  const choice = new ResolverChoice(peers.map(({ url }) => url));
  return { fetch, choice, timeoutMs: 5_000, now: () => performance.now(), ...changed };
}

const ask = (servers: DohServers) => queryDohServers(servers, name, 1, { signal: noSignal });
const counts = (...peers: Peer[]) => peers.map(({ asked }) => asked.length);

describe("of several servers", () => {
  test("the first one is asked while it answers, and NXDOMAIN and REFUSED are answers", async () => {
    const [a, b] = [await startPeer(), await startPeer()];
    const servers = serversOf([a, b]);
    for (const rcode of [NoError, NXDomain, Refused]) {
      a.reply = { rcode };
      expect(await ask(servers)).toMatchObject({ url: a.url, response: { rcode } });
    }
    expect(counts(a, b)).toEqual([3, 0]);
  });

  test.each([
    ["fails (500)", { status: 500 }],
    ["is somebody else (404)", { status: 404 }],
    ["cannot answer (SERVFAIL)", { rcode: ServFail }],
    ["is silent", "silence"],
  ] as const)(
    "one that %s is left for the next one, for this question and those after it",
    async (_, reply) => {
      const [a, b] = [await startPeer(reply), await startPeer({ rcode: NXDomain })];
      const servers = serversOf([a, b], { timeoutMs: 200 });
      for (let question = 0; question < 3; question++) {
        expect(await ask(servers)).toMatchObject({ url: b.url, response: { rcode: NXDomain } });
      }
      expect(counts(a, b)).toEqual([1, 3]);
    },
  );

  test("one that is not there is left for the next one", async () => {
    const [a, b, c] = [await startPeer(), await startPeer(), await startPeer()];
    const servers = serversOf([a, b, c]);
    a.close();
    b.close();
    expect(await ask(servers)).toMatchObject({ url: c.url });
    expect(servers.choice.current()).toBe(c.url);
  });

  test("silent ones leave time for the others", async () => {
    const peers = [await startPeer("silence"), await startPeer("silence"), await startPeer()];
    expect(await ask(serversOf(peers, { timeoutMs: 600 }))).toMatchObject({ url: peers[2]?.url });
  });

  test("one that failed is asked again when the others fail", async () => {
    const [a, b] = [await startPeer({ status: 500 }), await startPeer()];
    const servers = serversOf([a, b]);
    await ask(servers);
    a.reply = { rcode: NoError };
    b.reply = { status: 500 };
    expect(await ask(servers)).toMatchObject({ url: a.url });
  });

  test("one that failed comes after those that did not", async () => {
    const [a, b, c] = [await startPeer({ status: 500 }), await startPeer(), await startPeer()];
    const servers = serversOf([a, b, c], { now: () => 0 });
    await ask(servers);
    a.reply = { rcode: NoError };
    b.reply = { status: 500 };
    expect(await ask(servers)).toMatchObject({ url: c.url });
    expect(counts(a, b, c)).toEqual([1, 2, 1]);
  });

  test("others may choose by another URL, which makes the DoH URI", async () => {
    const [a, b] = [await startPeer({ status: 500 }), await startPeer()];
    const bases = [a, b].map(({ url }) => url.replace("/dns-query", ""));
    const choice = new ResolverChoice(bases);
    const uriOf = (url: string) => `${url}/dns-query`;
    expect(await ask({ ...serversOf([a, b]), choice, uriOf })).toMatchObject({ url: b.url });
    expect(choice.current()).toBe(bases[1]);
    expect(choice.states()).toMatchObject([{ fault: expect.stringContaining("HTTP 500") }, {}]);
  });

  test("the one that answered is kept to, however often it failed before", async () => {
    const [a, b] = [await startPeer(), await startPeer({ status: 500 })];
    const servers = serversOf([a, b], { now: () => 3_000 });
    for (const time of [0, 1_000, 3_000]) servers.choice.failed(a.url, time);
    expect(await ask(servers)).toMatchObject({ url: a.url });
    expect(servers.choice.current()).toBe(a.url);
  });
});

describe("when no server answers", () => {
  test("the first one's fault is told", async () => {
    const [a, b] = [await startPeer({ status: 500 }), await startPeer({ status: 502 })];
    await expect(ask(serversOf([a, b]))).rejects.toMatchObject({ code: "doh-failed", who: a.url });
  });

  test("a SERVFAIL is told before silence", async () => {
    const [a, b] = [await startPeer({ status: 500 }), await startPeer({ rcode: ServFail })];
    expect(await ask(serversOf([a, b]))).toMatchObject({ url: b.url, response: { rcode: ServFail } });
  });

  test("a refused token is told before all else", async () => {
    const peers = [await startPeer({ status: 500 }), await startPeer({ rcode: ServFail }), await startPeer()];
    const [, , c] = peers;
    if (c !== undefined) c.token = "secret";
    await expect(ask(serversOf(peers))).rejects.toMatchObject({ code: "token-refused", who: c?.url });
  });

  test("a question that is called off blames nobody", async () => {
    const called = new AbortController();
    const [a, b] = [await startPeer("silence"), await startPeer()];
    const servers = serversOf([a, b]);
    const failed = vi.spyOn(servers.choice, "failed");
    const answer = queryDohServers(servers, name, 1, { signal: called.signal });
    called.abort();
    await expect(answer).rejects.toMatchObject({ code: "doh-failed" });
    expect(failed).not.toHaveBeenCalled();
    expect(b.asked).toEqual([]);
  });
});

describe("the token", () => {
  test("is presented as a bearer's", async () => {
    const peer = await startPeer();
    peer.token = "secret";
    await ask(serversOf([peer], { token: async () => "secret" }));
    expect(peer.asked).toEqual(["Bearer secret"]);
  });

  test("is read again when it is refused, and another one is tried once", async () => {
    const peer = await startPeer();
    peer.token = "new";
    const tokenOf = async (again: boolean) => (again ? "new" : "old");
    expect(await ask(serversOf([peer], { token: tokenOf }))).toMatchObject({ url: peer.url });
    expect(peer.asked).toEqual(["Bearer old", "Bearer new"]);
  });

  test("that is still the same is not sent again", async () => {
    const peer = await startPeer();
    peer.token = "new";
    const fault: unknown = await ask(serversOf([peer], { token: async () => "old-secret" })).catch(
      (thrown) => thrown,
    );
    expect(fault).toMatchObject({ code: "token-refused" });
    expect(String(fault)).not.toContain("old-secret");
    expect(peer.asked).toHaveLength(1);
  });

  test("one server refuses may be good for another", async () => {
    const [a, b] = [await startPeer(), await startPeer()];
    a.token = "other";
    b.token = "secret";
    expect(await ask(serversOf([a, b], { token: async () => "secret" }))).toMatchObject({ url: b.url });
  });
});
