import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { promisify } from "node:util";
import socks from "socksv5";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { closedPort } from "../../client/testing/closed-port.ts";
import { serviceRecords } from "../../client/testing/doh-server.ts";
import { type ProxyBed, startBed } from "../testing/proxy.ts";

/** Programs that other people wrote, against the proxy. */

const name = "web.shop.berth.internal";
let bed: ProxyBed;

beforeEach(async () => {
  bed = await startBed();
});

afterEach(() => bed.close());

describe("npm package socksv5", () => {
  test("connects by name", async () => {
    const port = await bed.upstream((socket) => socket.pipe(socket));
    bed.resolver.records = serviceRecords(name, 7, [{ address: "127.0.0.1", port }]);
    expect(await echoThrough(name, 7)).toBe("to and fro");
  });

  test("connects by IPv4 and by IPv6 address", async () => {
    const port = await bed.upstream((socket) => socket.pipe(socket));
    expect(await echoThrough("127.0.0.1", port)).toBe("to and fro");
    const port6 = await bed.upstream((socket) => socket.pipe(socket), "::1");
    expect(await echoThrough("::1", port6)).toBe("to and fro");
  });

  test("understands a refusal", async () => {
    const port = await closedPort();
    bed.resolver.records = serviceRecords(name, 7, [{ address: "127.0.0.1", port }]);
    await expect(echoThrough(name, 7)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(echoThrough("nobody.berth.internal", 7)).rejects.toMatchObject({ code: "EHOSTUNREACH" });
  });

  async function echoThrough(host: string, port: number): Promise<string> {
    const auths = [socks.auth.None()];
    const proxyAt = { proxyHost: "127.0.0.1", proxyPort: bed.port };
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    socks.connect({ host, port, ...proxyAt, localDNS: false, auths }, resolve).on("error", reject);
    const socket = await promise;
    socket.end("to and fro");
    return Buffer.concat(await socket.toArray()).toString();
  }
});

describe("curl", () => {
  test("fetches a page by name, and the page sees the name", async () => {
    const server = createServer((request, response) => response.end(`for ${request.headers.host}`));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    bed.resolver.records = serviceRecords(name, 80, [{ address: "127.0.0.1", port }]);
    const { stdout } = await curl(`http://${name}/`);
    expect(stdout).toBe(`for ${name}`);
    server.close();
  });

  test("says what was refused", async () => {
    bed.resolver.records = serviceRecords(name, 80, [{ address: "127.0.0.1", port: 9 }]);
    // 97: the proxy's hand-shake failed; curl adds the REP code (connection refused) in brackets.
    await expect(curl(`http://${name}:8080/`)).rejects.toMatchObject({
      code: 97,
      stderr: expect.stringContaining("(5)"),
    });
  });

  function curl(url: string) {
    const proxyOption = ["--noproxy", "", "--socks5-hostname", `127.0.0.1:${bed.port}`];
    return promisify(execFile)("curl", ["--silent", "--show-error", "--max-time", "10", ...proxyOption, url]);
  }
});
