import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { addressRecord, serviceRecords } from "../../client/testing/doh-server.ts";
import { type ProxyBed, startBed } from "../testing/proxy.ts";

/** Programs that other people wrote, over what is not plain SOCKS5: Tor's RESOLVE, SOCKS4, SOCKS4a and passwords. */

const name = "web.shop.berth.internal";
const page = `http://${name}/`;
let bed: ProxyBed;
let web: Server;

beforeEach(async () => {
  web = createServer((request, response) => response.end(`for ${request.headers.host}`)).listen(
    0,
    "127.0.0.1",
  );
  await once(web, "listening");
  bed = await startBed(records());
});

afterEach(async () => {
  await bed.close();
  web.close();
});

describe("torsocks", () => {
  test("curl and wget fetch a page by a service's name", async () => {
    expect(await torsocks("curl", "--silent", "--show-error", "--max-time", "10", page)).toBe(`for ${name}`);
    expect(await torsocks("wget", "--quiet", "--tries=1", "--timeout=10", "--output-document=-", page)).toBe(
      `for ${name}`,
    );
    const { port } = web.address() as AddressInfo;
    expect(bed.lines.join("\n")).toContain(`${name}:80 at 127.0.0.1:${port}:`);
  });

  // `ahosts` is getaddrinfo(3). `getent hosts` is gethostbyname2(3), in which torsocks itself breaks off, whatever the answer was.
  test("getent resolves a service's name to its stand-in, and a container host's to its address", async () => {
    expect(await torsocks("getent", "ahosts", name)).toMatch(/^24[0-7]\.\d+\.\d+\.\d+ +STREAM/);
    expect(await torsocks("getent", "ahosts", "nas.host.berth.internal")).toMatch(/^10\.9\.8\.7 +STREAM/);
    await expect(torsocks("getent", "ahosts", "nobody.berth.internal")).rejects.toMatchObject({ code: 2 });
  });

  test("a program resolves a name, resolves the address back, and connects to it", async () => {
    const script = `
import socket
address = socket.gethostbyname("${name}")
print(socket.gethostbyaddr(address)[0])
connection = socket.create_connection((address, 80))
connection.sendall(b"GET / HTTP/1.0\\r\\nHost: by-address\\r\\n\\r\\n")
print(connection.makefile().read().splitlines()[-1])
`;
    expect(await torsocks("python3", "-c", script)).toBe(`${name}\nfor by-address\n`);
  });

  async function torsocks(...command: string[]): Promise<string> {
    const at = ["--address", "127.0.0.1", "--port", `${bed.port}`, "--quiet"];
    const { stdout } = await promisify(execFile)("torsocks", [...at, ...command]);
    return stdout;
  }
});

describe("curl", () => {
  test("by SOCKS4a sends the name, and by SOCKS4 an address", async () => {
    expect(await curl("--proxy", `socks4a://somebody@127.0.0.1:${bed.port}`, page)).toBe(`for ${name}`);
    const { port } = web.address() as AddressInfo;
    const byAddress = `http://127.0.0.1:${port}/`;
    expect(await curl("--proxy", `socks4://127.0.0.1:${bed.port}`, byAddress)).toBe(`for 127.0.0.1:${port}`);
  });

  test("with a password is let in where one is asked for, and is not without it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "berth-users-"));
    const usersFile = join(folder, "users");
    await writeFile(usersFile, "me:secret\n");
    await chmod(usersFile, 0o600);
    const guarded = await startBed(records(), { usersFile });
    try {
      const through = (userPart: string) =>
        curl("--proxy", `socks5h://${userPart}127.0.0.1:${guarded.port}`, page);
      expect(await through("me:secret@")).toBe(`for ${name}`);
      // 97: the proxy's hand-shake failed.
      await expect(through("me:guess@")).rejects.toMatchObject({ code: 97 });
      await expect(through("")).rejects.toMatchObject({ code: 97 });
      await expect(curl("--proxy", `socks4a://127.0.0.1:${guarded.port}`, page)).rejects.toMatchObject({
        code: 97,
      });
      expect(guarded.lines.join("\n")).not.toMatch(/secret|guess/);
    } finally {
      await guarded.close();
      await rm(folder, { recursive: true });
    }
  });

  async function curl(...options: string[]): Promise<string> {
    const quiet = ["--silent", "--show-error", "--max-time", "10", "--noproxy", ""];
    const { stdout } = await promisify(execFile)("curl", [...quiet, ...options]);
    return stdout;
  }
});

function records() {
  const { port } = web.address() as AddressInfo;
  return [
    ...serviceRecords(name, 80, [{ address: "127.0.0.1", port }]),
    addressRecord("nas.host.berth.internal", "10.9.8.7"),
  ];
}
