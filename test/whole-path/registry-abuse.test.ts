import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { binding } from "../../resolver/store/contract/builders.ts";
import { until } from "../testbed/wait.ts";
import { askNode } from "./asked-names.ts";
import type { RegistryBed } from "./registry-bed.ts";
import { pushReplyIn, RegistryHost } from "./registry-host.ts";
import { feedOf, linkOf, rawConnection, signedUpgrade } from "./registry-streams.ts";
import { auditRows, codeOf, startServing } from "./serving-registry.ts";

let bed: RegistryBed;
let nas: RegistryHost;

beforeAll(async () => {
  ({ bed, nas } = await startServing());
});
afterAll(() => bed?.close());

const answersStill = () => askNode(bed, "kept", bed.token("reader"));
/** MiB that a flood may cost for good. The heap of a program that was never under load grows by some tens of them all the same. */
const generousMib = 250;

async function withoutGrowth(flood: () => Promise<unknown>, mib = generousMib): Promise<void> {
  const before = bed.residentMib();
  await flood();
  expect(bed.residentMib() - before).toBeLessThan(mib);
}

describe("a flood", () => {
  it("of random tokens is refused, bounded in the audit record, and in nobody's way", async () => {
    const flood = 3000;
    const started = Date.now();
    await withoutGrowth(async () => {
      const refusals = Array.from({ length: flood }, async (_, index) => {
        const token = `berth_${"a".repeat(10)}_${randomBytes(32).toString("base64url")}`;
        const path = index % 2 === 0 ? "/v1/hosts" : `/v1/hosts/${randomBytes(8).toString("hex")}`;
        return (await bed.ask({ path, token, method: index % 3 === 0 ? "PUT" : "GET" })).status;
      });
      expect(await answersStill()).toBe("NOERROR");
      expect(new Set(await Promise.all(refusals))).toEqual(new Set([401]));
    });
    const rows = await until("all refusals to be written down", async () => {
      const refused = (await auditRows(bed)).filter(({ code }) => code === "unknown-token");
      return refused.reduce((sum, { count }) => sum + count, 0) >= flood && refused;
    });
    expect(rows.length).toBeLessThan(33 * (Math.ceil((Date.now() - started) / 1000) + 2));
    expect(
      bed.log.filter((line) => /^(warn|error)/.test(line)),
      "no stranger fills the log",
    ).toEqual([]);
  });

  it("of unfinished requests keeps nobody else waiting", async () => {
    const head = (line: string, ...fields: string[]) => [line, "host: localhost", ...fields].join("\r\n");
    const type = "content-type: application/dns-message";
    const { path, headers } = await nas.sign("PUT", nas.path, { half: "a body" });
    const signed = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const upgrade = await signedUpgrade(nas, nas.declare([]));
    const beginnings = [
      "GET /v1/hosts HTTP/1.1\r\nhost: loc",
      head(
        "POST /dns-query HTTP/1.1",
        type,
        `authorization: Bearer ${bed.token("reader")}`,
        "content-length: 40",
        "",
        "half",
      ),
      head(`PUT ${path} HTTP/1.1`, ...signed, "content-length: 100000", "", "{"),
      head(`GET ${upgrade.path} HTTP/1.1`, "connection: Upgrade", "upgrade: websocket", "x: "),
      head(
        "PUT /v1/backup HTTP/1.1",
        `authorization: Bearer ${bed.token("admin")}`,
        "transfer-encoding: chunked",
        "content-type: application/vnd.sqlite3",
        "",
        "5\r\nhel",
      ),
    ];
    await withoutGrowth(async () => {
      const open = await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const connection = await rawConnection(bed, `127.0.0.${2 + (index % 3)}`);
          connection.socket.write(beginnings[index % beginnings.length] ?? "");
          return connection;
        }),
      );
      onTestFinished(() => open.forEach(({ socket }) => void socket.destroy()));
      expect(await answersStill()).toBe("NOERROR");
      expect(await nas.pushNames(["kept"])).toMatchObject({ status: 200 });
    });
  });

  it("of 2,000 links that say nothing, and of feeds that read nothing, is held cheaply, and pushes go on", async () => {
    const hosts = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => RegistryHost.make(bed, `many${index}`)),
    );
    await withoutGrowth(async () => {
      const links = await Promise.all(
        hosts.map((host, index) => linkAfterPush(host, `127.0.0.${2 + (index % 4)}`)),
      );
      const second = await Promise.all(
        hosts.map((host, index) =>
          linkOf(host, host.declare([binding(host.label)]), `127.0.0.${6 + (index % 4)}`),
        ),
      );
      const feeds = await Promise.all(Array.from({ length: 100 }, () => feedOf(bed, bed.token("reader"))));
      onTestFinished(() => {
        for (const { socket } of [...links, ...second]) socket.terminate();
        for (const feed of feeds) feed.close();
      });
      for (const { response } of feeds) response.pause();
      const names = Array.from({ length: 400 }, (_, index) => `busy${index}`);
      for (let port = 1; port <= 20; port++) pushReplyIn(await nas.pushNames(["kept", ...names], port));
      expect(await answersStill()).toBe("NOERROR");
      expect(links.every(({ socket }) => socket.readyState === socket.OPEN)).toBe(true);
      // A TLS connection of Node's takes a tenth of a MiB.
    }, 2 * generousMib);
    pushReplyIn(await nas.pushNames(["kept"]));
  });

  async function linkAfterPush(host: RegistryHost, localAddress: string) {
    const declared = host.declare([binding(host.label)]);
    pushReplyIn(await host.push(declared));
    return linkOf(host, declared, localAddress);
  }
});

describe("a body that is too much", () => {
  it("is cut off at 16 MiB though nobody said how long it is", async () => {
    await withoutGrowth(async () => {
      for (let round = 0; round < 3; round++) {
        nas.sequence++;
        const { headers } = await nas.sign("PUT", nas.path, { some: "body" });
        const connection = await rawConnection(bed);
        const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
        const head = [`PUT ${nas.path} HTTP/1.1`, "host: localhost", ...fields, "transfer-encoding: chunked"];
        connection.socket.write(`${head.join("\r\n")}\r\n\r\n`);
        const chunk = Buffer.concat([
          Buffer.from("100000\r\n"),
          Buffer.alloc(0x100000, 32),
          Buffer.from("\r\n"),
        ]);
        const sending = setInterval(() => void connection.socket.write(chunk), 2);
        await connection.closed;
        clearInterval(sending);
        expect(connection.read()).toMatch(/^HTTP\/1\.1 413 /);
      }
    });
    expect(await answersStill()).toBe("NOERROR");
  });

  const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
  const wrongBinding = `{"addresses":[${Array(32).fill("0").join(",")}]}`;
  const bombs: Record<string, string> = {
    "nested a million times": deep(1_000_000),
    "nested within": `{"declared":{"bindings":[${deep(500_000)}]}}`,
    "of 20,000 wrong bindings": `{"declared":{"bindings":[${Array(20_000).fill(wrongBinding).join(",")}]}}`,
    "of 20,000 wrong changes": `{"changed":[${Array(20_000).fill(wrongBinding).join(",")}]}`,
    "of a million wrong numbers": `{"declared":{"bindings":[${Array(1_000_000).fill("0").join(",")}]}}`,
  };
  it.each(Object.entries(bombs))("%s is refused without much ado", async (_, body) => {
    await withoutGrowth(async () => {
      expect(codeOf(await nas.send("PUT", nas.path, body))).toBe("422 invalid-body");
      expect(codeOf(await nas.send("PATCH", nas.path, body))).toBe("422 invalid-body");
    });
  });

  it.each(["__proto__", "constructor", "toString", "hasOwnProperty"])(
    "has no power by the name %s",
    async (name) => {
      const push = { ...nas.declare([]), [name]: 1 };
      const text = JSON.stringify({ lease: 15, digest: "0".repeat(64), declared: push }).replace(
        '"bindings"',
        `"${name}":{"a":1},"bindings"`,
      );
      expect(codeOf(await nas.send("PUT", nas.path, text))).toBe("422 invalid-body");
      const label = name.toLowerCase().replaceAll("_", "");
      pushReplyIn(
        await nas.push(nas.declare([binding("kept"), binding(label), binding(`${label}.${label}`)])),
      );
      expect(await askNode(bed, label, bed.token("reader"))).toBe("NOERROR");
      expect(await askNode(bed, `${name}.x`, bed.token("reader"))).not.toBe("NOERROR");
      const token = bed.token("admin");
      expect(codeOf(await bed.ask({ method: "DELETE", path: `/v1/tokens/${name}`, token }))).toBe(
        "404 unknown-token-id",
      );
      expect(codeOf(await bed.ask({ method: "DELETE", path: `/v1/names/absent-${label}/hold`, token }))).toBe(
        "404 unknown-hold",
      );
      pushReplyIn(await nas.pushNames(["kept"]));
    },
  );
});
