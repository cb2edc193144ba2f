import { once } from "node:events";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { closedPort } from "../client/testing/closed-port.ts";
import { addressRecord, serviceRecords } from "../client/testing/doh-server.ts";
import { Rcode } from "../shared/dns/constants.ts";
import { Command } from "./socks/wire.ts";
import { type ProxyBed, startBed } from "./testing/proxy.ts";
import { connectRaw, greeting, nameRequest, requestName } from "./testing/raw-client.ts";

const unboundReply = [0, 1, 0, 0, 0, 0, 0, 0];
let bed: ProxyBed;

beforeEach(async () => {
  bed = await startBed();
});

afterEach(() => bed.close());

describe("a request that is granted", () => {
  test("by name: the SRV endpoint is reached, and the reply carries our end of that connection", async () => {
    let seenPort = 0;
    await serve("web.berth.internal", 80, (socket) => {
      seenPort = socket.remotePort ?? 0;
      socket.end("hello");
    });
    const client = await requestName(bed.port, "web.berth.internal", 80);
    const reply = await client.read(10);
    expect([...reply.subarray(0, 8)]).toEqual([5, 0, 0, 1, 127, 0, 0, 1]);
    expect(`${await client.readToEnd()}`).toBe("hello");
    expect(reply.readUInt16BE(8)).toBe(seenPort);
    client.socket.end();
  });

  test("by IPv6 address: the bound address has all 16 octets", async () => {
    const port = await bed.upstream((socket) => socket.end("six"), "::1");
    const client = await connectRaw(bed.port);
    const loopback = [...new Uint8Array(15), 1];
    client.send(greeting, Uint8Array.of(5, 1, 0, 4, ...loopback, port >> 8, port & 255));
    await client.read(2);
    const reply = await client.read(22);
    expect([...reply.subarray(0, 20)]).toEqual([5, 0, 0, 4, ...loopback]);
    expect(reply.readUInt16BE(20)).toBeGreaterThan(0);
    expect(`${await client.readToEnd()}`).toBe("six");
    client.socket.end();
  });

  test("byte by byte, with the reserved octet set", async () => {
    await serve("web.berth.internal", 80, (socket) => socket.end("hello"));
    const client = await connectRaw(bed.port);
    client.socket.setNoDelay();
    const request = nameRequest("web.berth.internal", 80);
    request[2] = 0xff;
    for (const octet of [...greeting, ...request]) {
      client.send(octet);
      await new Promise(setImmediate);
    }
    expect([...(await client.read(4))]).toEqual([5, 0, 5, 0]);
    client.socket.end();
  });

  test("data sent together with the hand-shake arrives, and the end of the client's direction with it", async () => {
    const received = Promise.withResolvers<string>();
    await serve("web.berth.internal", 80, async (socket) => {
      received.resolve(Buffer.concat(await socket.toArray()).toString());
      socket.end("got it");
    });
    const client = await connectRaw(bed.port);
    client.send(greeting, nameRequest("web.berth.internal", 80), Buffer.from("early"));
    client.socket.end();
    expect(await received.promise).toBe("early");
    expect(`${(await client.readToEnd()).subarray(12)}`).toBe("got it");
  });

  test("a mebibyte follows after the client's direction has ended", async () => {
    const mebibyte = Buffer.alloc(1 << 20, "x");
    await serve("web.berth.internal", 80, (socket) => {
      socket.resume();
      socket.on("end", () => socket.end(mebibyte));
    });
    const client = await requestName(bed.port, "web.berth.internal", 80);
    await client.read(10);
    client.socket.end("question");
    expect((await client.readToEnd()).equals(mebibyte)).toBe(true);
  });

  test("the client goes on sending after the upstream's direction has ended", async () => {
    const received = Promise.withResolvers<Buffer>();
    await serve("web.berth.internal", 80, async (socket) => {
      socket.end("bye");
      received.resolve(Buffer.concat(await socket.toArray()));
    });
    const client = await requestName(bed.port, "web.berth.internal", 80);
    await client.read(10);
    expect(`${await client.readToEnd()}`).toBe("bye");
    const mebibyte = Buffer.alloc(1 << 20, "y");
    client.socket.end(mebibyte);
    expect((await received.promise).equals(mebibyte)).toBe(true);
  });

  test("a second endpoint serves when the first is dead", async () => {
    const port = await bed.upstream((socket) => socket.end("second"));
    bed.resolver.records = serviceRecords("web.berth.internal", 80, [
      { address: "127.0.0.1", port: await closedPort(), priority: 0 },
      { address: "127.0.0.1", port, priority: 10 },
    ]);
    const client = await requestName(bed.port, "web.berth.internal", 80);
    expect((await client.read(10))[1]).toBe(0);
    expect(`${await client.readToEnd()}`).toBe("second");
    client.socket.end();
  });

  test("one line of the log tells where it led and how much went through", async () => {
    const port = await serve("web.berth.internal", 80, (socket) => Readable.from("abc").pipe(socket));
    const client = await requestName(bed.port, "web.berth.internal", 80);
    client.socket.end("secret");
    await client.readToEnd();
    await once(client.socket, "close");
    await bed.proxy.close();
    const line = `web.berth.internal:80 at 127.0.0.1:${port}: 6 bytes up, 3 down, ended`;
    expect(linesAbout("web")).toEqual([expect.stringContaining(line)]);
    expect(bed.lines.join()).not.toMatch(/secret|abc/);
  });
});

describe("a look-up (RESOLVE), which torsocks sends with port 42", () => {
  const web = "web.berth.internal";

  test.each([
    [["allow zone:80", "deny any"], 0],
    [["deny zone:42", "allow zone", "deny any"], 0],
    [["deny zone", "allow any"], 2],
    [["allow outside:443", "deny any"], 2],
  ])(
    "under the rules %j is answered with %i: a name is refused when no port of it is allowed",
    async (rule, rep) => {
      await bed.close();
      bed = await startBed(serviceRecords(web, 80, [{ address: "127.0.0.1", port: 80 }]), { rule });
      const client = await connectRaw(bed.port);
      client.send(greeting, nameRequest(web, 42, Command.Resolve));
      expect([...(await client.read(4))]).toEqual([5, 0, 5, rep]);
      if (rep !== 0) expect(bed.resolver.queries).toEqual([]);
      client.socket.end();
    },
  );

  test("outside the zones too a rule with ports allows it", async () => {
    await bed.close();
    bed = await startBed([], { rule: ["allow localhost:443", "deny any"] });
    const client = await connectRaw(bed.port);
    client.send(greeting, nameRequest("localhost", 42, Command.Resolve));
    expect([...(await client.read(8))]).toEqual([5, 0, 5, 0, 0, 1, 127, 0]);
    client.socket.end();
  });
});

describe("a request that is not granted gets a reply of full length, and then the end", () => {
  test("1: the resolver fails", async () => {
    bed.resolver.faults.set("_80._tcp.web.berth.internal", Rcode.ServFail);
    await expectRefusal("web.berth.internal", 80, 1);
    expect(linesAbout("web")).toEqual([expect.stringContaining("SERVFAIL")]);
  });

  test("1: the resolver is not there", async () => {
    bed.resolver.close();
    await expectRefusal("web.berth.internal", 80, 1);
  });

  test("1: the name is empty", async () => {
    await expectRefusal("", 80, 1);
  });

  test("2: destinations outside the zone are denied", async () => {
    await bed.close();
    bed = await startBed([], { outside: "deny" });
    await expectRefusal("localhost", 80, 2);
    await expectRefusal("127.0.0.1", 80, 2);
  });

  test("4: no such name, a bad name, no address", async () => {
    bed.resolver.records = [addressRecord("a.b.berth.internal", "127.0.0.1")];
    await expectRefusal("nobody.berth.internal", 80, 4);
    await expectRefusal("_80._tcp.web.berth.internal", 80, 4);
    await expectRefusal("b.berth.internal", 80, 4);
  });

  test("5: the endpoint refuses", async () => {
    const port = await closedPort();
    bed.resolver.records = serviceRecords("web.berth.internal", 80, [{ address: "127.0.0.1", port }]);
    await expectRefusal("web.berth.internal", 80, 5);
    expect(linesAbout("web")).toEqual([expect.stringContaining(`127.0.0.1:${port} ECONNREFUSED`)]);
  });

  test("5: of many endpoints no more than 64 of an answer are tried, of the first and of the fresh one", async () => {
    const port = await closedPort();
    const endpoints = Array.from({ length: 200 }, (_, index) => ({ address: `127.0.1.${index}`, port }));
    bed.resolver.records = serviceRecords("web.berth.internal", 80, endpoints);
    await expectRefusal("web.berth.internal", 80, 5);
    const [line = ""] = linesAbout("web");
    expect(Number(/ECONNREFUSED and (\d+) more$/.exec(line)?.[1]) + 5).toBeLessThanOrEqual(2 * 64);
  });

  test("5: the port is not published, and the host's own port of that number is never dialled", async () => {
    let dialled = 0;
    const hostPort = await bed.upstream(() => dialled++);
    bed.resolver.records = [
      ...serviceRecords("web.berth.internal", 8080, [{ address: "127.0.0.1", port: 9 }]),
      ...serviceRecords("web.berth.internal", 443, [{ address: "127.0.0.1", port: 9 }]),
      addressRecord("web.berth.internal", "127.0.0.1"),
    ];
    await expectRefusal("web.berth.internal", hostPort, 5);
    expect(dialled).toBe(0);
    expect(linesAbout("web")).toEqual([expect.stringMatching(/^info .*it publishes 443, 8080$/)]);
  });

  test("a container host is reached at the port asked for", async () => {
    const port = await bed.upstream((socket) => socket.end("host"));
    bed.resolver.records = [addressRecord("nas.host.berth.internal", "127.0.0.1")];
    const client = await requestName(bed.port, "nas.host.berth.internal", port);
    expect((await client.read(10))[1]).toBe(0);
    expect(`${await client.readToEnd()}`).toBe("host");
    client.socket.end();
  });

  test("7: BIND and commands nobody knows", async () => {
    for (const command of [Command.Bind, 0, 255]) {
      await expectReply(nameRequest("web.berth.internal", 80, command), 7);
    }
  });

  test("8: an unknown address type", async () => {
    await expectReply(Uint8Array.of(5, 1, 0, 2, 1, 2, 3, 4, 0, 80), 8);
  });

  test("the reply survives data that came early, however much, and no reset follows it", async () => {
    const client = await connectRaw(bed.port);
    client.send(greeting, nameRequest("nobody.berth.internal", 80), Buffer.alloc(16 << 20));
    expect([...(await client.readToEnd())]).toEqual([5, 0, 5, 4, ...unboundReply]);
    client.socket.end();
    const [hadError] = await once(client.socket, "close");
    expect(hadError).toBe(false);
  });

  test("FF: a client that does not offer to go on without authentication", async () => {
    for (const methods of [Uint8Array.of(5, 1, 2), Uint8Array.of(5, 0)]) {
      const client = await connectRaw(bed.port);
      client.send(methods);
      expect([...(await client.readToEnd())]).toEqual([5, 255]);
      client.socket.end();
    }
  });
});

/** Serves one service port of a name by an upstream server of the test; resolves to the server's port. */
async function serve(name: string, servicePort: number, connection: Parameters<ProxyBed["upstream"]>[0]) {
  const port = await bed.upstream(connection);
  bed.resolver.records = serviceRecords(name, servicePort, [{ address: "127.0.0.1", port }]);
  return port;
}

function expectRefusal(name: string, port: number, rep: number): Promise<void> {
  return expectReply(nameRequest(name, port), rep);
}

async function expectReply(request: Uint8Array, rep: number): Promise<void> {
  const client = await connectRaw(bed.port);
  client.send(greeting, request);
  expect([...(await client.readToEnd())]).toEqual([5, 0, 5, rep, ...unboundReply]);
  client.socket.end();
}

function linesAbout(text: string): string[] {
  return bed.lines.filter((line) => line.includes(text) && !line.includes("SOCKS5 at"));
}
