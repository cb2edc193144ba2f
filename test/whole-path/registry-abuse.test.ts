import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { binding } from "../../resolver/store/contract/builders.ts";
import type { AuditList } from "../../shared/audit.ts";
import { digestOf } from "../../shared/digest.ts";
import type { HostList, ServiceList } from "../../shared/registry-views.ts";
import type { CreatedToken, NewToken } from "../../shared/tokens.ts";
import { until } from "../testbed/wait.ts";
import { askNode } from "./asked-names.ts";
import { RegistryBed, type Reply } from "./registry-bed.ts";
import { faultIn, pushReplyIn, RegistryHost, type SignedRequest } from "./registry-host.ts";
import { feedOf, linkOf, rawConnection, signedUpgrade } from "./registry-streams.ts";

let bed: RegistryBed;
let nas: RegistryHost;

beforeAll(async () => {
  bed = await RegistryBed.start({ flags: ["--lookup-tokens", "on"] });
  nas = await RegistryHost.make(bed, "nas");
  pushReplyIn(await nas.pushNames(["kept"]));
});
afterAll(() => bed?.close());

async function createToken(fields: Partial<NewToken> = {}): Promise<CreatedToken> {
  const body = JSON.stringify({ kind: "agent", owner: "team-a", ...fields });
  const headers = { "content-type": "application/json" };
  const reply = await bed.ask({
    method: "POST",
    path: "/v1/tokens",
    token: bed.token("admin"),
    headers,
    body,
  });
  expect(reply.status, reply.body.toString()).toBe(201);
  return JSON.parse(reply.body.toString()) as CreatedToken;
}

async function auditRows() {
  return (await bed.json<AuditList>("/v1/audit?limit=1000")).entries;
}

const codeOf = (reply: Reply) =>
  reply.status < 300 ? String(reply.status) : `${reply.status} ${faultIn(reply).code}`;
const answersStill = () => askNode(bed, "kept", bed.token("reader"));
/** MiB that a flood may cost for good. The heap of a program that was never under load grows by some tens of them all the same. */
const generousMib = 250;

async function withoutGrowth(flood: () => Promise<unknown>): Promise<void> {
  const before = bed.residentMib();
  await flood();
  expect(bed.residentMib() - before).toBeLessThan(generousMib);
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
      const refused = (await auditRows()).filter(({ code }) => code === "unknown-token");
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

  it("of links that say nothing, and of feeds that read nothing, is held cheaply, and pushes go on", async () => {
    const hosts = await Promise.all(
      Array.from({ length: 300 }, (_, index) => RegistryHost.make(bed, `many${index}`)),
    );
    await withoutGrowth(async () => {
      const links = await Promise.all(hosts.map(linkAfterPush));
      const second = await Promise.all(
        hosts.map((host) => linkOf(host, host.declare([binding(host.label)]), "127.0.0.3")),
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
    });
    pushReplyIn(await nas.pushNames(["kept"]));
  });

  async function linkAfterPush(host: RegistryHost) {
    const declared = host.declare([binding(host.label)]);
    pushReplyIn(await host.push(declared));
    return linkOf(host, declared, "127.0.0.2");
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

describe("a token", () => {
  const writes = [
    ["PUT", "/v1/hosts/ID"],
    ["PATCH", "/v1/hosts/ID"],
    ["PUT", "/v1/hosts/ID/lease"],
    ["DELETE", "/v1/hosts/ID"],
    ["DELETE", "/v1/names/kept/hold"],
    ["POST", "/v1/tokens"],
    ["DELETE", "/v1/tokens/aaaaaaaaaa"],
    ["PUT", "/v1/backup"],
  ] as const;
  const adminReads = ["/v1/tokens", "/v1/audit", "/v1/backup"];

  it.each(["reader", "agent"] as const)(
    "of a %s writes and reads nothing that is not its own",
    async (kind) => {
      const token = bed.token(kind);
      const before = await bed.json<HostList>("/v1/hosts");
      for (const [method, path] of writes) {
        const reply = await bed.ask({ method, path: path.replace("ID", nas.hostId), token, body: "{}" });
        // An agent's own key is asked for where it may write.
        const may = kind === "agent" && path.startsWith("/v1/hosts");
        expect(`${method} ${path} ${codeOf(reply)}`).toBe(
          `${method} ${path} ${may ? "401 bad-signature" : "403 token-not-allowed"}`,
        );
      }
      for (const path of adminReads)
        expect(codeOf(await bed.ask({ path, token }))).toBe("403 token-not-allowed");
      expect((await bed.json<HostList>("/v1/hosts")).revision).toBe(before.revision);
    },
  );

  it("for one host does nothing for another, with that one's key and all", async () => {
    const { token } = await createToken({ scope: { hosts: ["nas"] } });
    const other = await RegistryHost.make(bed, "other");
    const declared = other.declare([binding("other")]);
    pushReplyIn(await other.push(declared));
    other.token = token;
    expect(codeOf(await other.push(other.declare([])))).toBe("403 host-not-allowed");
    expect(codeOf(await other.renew(declared))).toBe("403 host-not-allowed");
    const delta = {
      lease: 15,
      digest: "0".repeat(64),
      base: "0".repeat(64),
      changed: [],
      gone: [],
      declared: { hostLabel: "other", addresses: ["10.0.0.5"], local: false, problems: [] },
    };
    expect(codeOf(await other.send("PATCH", other.path, delta))).toBe("403 host-not-allowed");
    expect(codeOf(await other.send("DELETE", other.path))).toBe("403 host-not-allowed");
    await expect(linkOf(other, declared)).rejects.toThrow("403");
    expect(await askNode(bed, "other", bed.token("reader"))).toBe("NOERROR");
  });

  it("that is revoked ends everything within a second: pushes, lookups, its links and its feeds", async () => {
    const created = await createToken();
    await expectEnds(
      created,
      async () => {
        const reply = await bed.ask({
          method: "DELETE",
          path: `/v1/tokens/${created.id}`,
          token: bed.token("admin"),
        });
        expect(reply.status).toBe(204);
      },
      "token-revoked",
    );
  });

  it("that expires ends the same", async () => {
    const created = await createToken({ expiresIn: 2 });
    await expectEnds(
      created,
      () => until("its end", () => Date.now() >= (created.expiresAt ?? 0)),
      "token-expired",
    );
  });

  async function expectEnds(created: CreatedToken, end: () => Promise<unknown>, code: string): Promise<void> {
    const { token } = created;
    const host = await RegistryHost.make(bed, `h-${created.id}`);
    host.token = token;
    const declared = host.declare([binding(`n-${created.id}`)]);
    pushReplyIn(await host.push(declared));
    const link = await linkOf(host, declared);
    const feed = await feedOf(bed, token);
    const byPath = () =>
      bed.ask({ path: `/t/${token}/dns-query?dns=AAABAAABAAAAAAAABGtlcHQFYmVydGgIaW50ZXJuYWwAAAEAAQ` });
    expect(await askNode(bed, "kept", token)).toBe("NOERROR");
    expect((await byPath()).status).toBe(200);
    await end();
    const soon = { timeoutMs: 1000, everyMs: 20 };
    expect(codeOf(await host.push(declared))).toBe(`401 ${code}`);
    await until(
      "lookups by header to end",
      async () => (await askNode(bed, "kept", token)) === "HTTP 401",
      soon,
    );
    await until("lookups by path to end", async () => (await byPath()).status === 401, soon);
    await until("its link to close", () => link.socket.readyState === link.socket.CLOSED, soon);
    expect(await link.closed).toBe(4401);
    await until("its feed to end", () => feed.response.destroyed, soon);
    await expect(linkOf(host, declared)).rejects.toThrow("401");
  }
});

describe("a signed request", () => {
  it("is the host's own: not for another host, nor with another key", async () => {
    const other = await RegistryHost.make(bed, "pi");
    const declared = other.declare([]);
    for (const [method, path, body] of [
      ["PUT", nas.path, {}],
      ["PATCH", nas.path, {}],
      ["PUT", `${nas.path}/lease`, {}],
      ["DELETE", nas.path],
    ] as const) {
      expect(`${method} ${codeOf(await other.send(method, path, body))}`).toBe(`${method} 401 bad-signature`);
    }
    const upgrade = await signedUpgrade(other, declared);
    const link = await bed.ask({ ...asUpgrade(upgrade), path: `${nas.path}/link` });
    expect(codeOf(link)).toBe("401 bad-signature");
  });

  it("does not stand for another body, path, method or token", async () => {
    const other = await createToken();
    const whole = nas.declare([binding("kept")]);
    const body = { lease: 15, digest: "0".repeat(64), declared: whole };
    const tampered: ((request: SignedRequest) => SignedRequest)[] = [
      (request) => ({ ...request, body: JSON.stringify({ ...body, lease: 16 }) }),
      (request) => ({
        ...request,
        body: JSON.stringify({ ...body, lease: 16 }),
        headers: {
          ...request.headers,
          "content-digest": `${request.headers["content-digest"]}, ${request.headers["content-digest"]}`,
        },
      }),
      (request) => ({ ...request, path: `${nas.path}/lease` }),
      (request) => ({ ...request, path: `${nas.path}/` }),
      (request) => ({ ...request, method: "PATCH" }),
      (request) => ({ ...request, headers: { ...request.headers, authorization: `Bearer ${other.token}` } }),
      (request) => ({ ...request, headers: { ...request.headers, "berth-sequence": "999999" } }),
      (request) => ({ ...request, headers: { ...request.headers, "berth-epoch": "9" } }),
    ];
    for (const [index, tamper] of tampered.entries()) {
      nas.sequence++;
      const reply = await bed.ask(tamper(await nas.sign("PUT", nas.path, body)));
      expect([`${index} 401 bad-signature`, `${index} 404 not-found`]).toContain(`${index} ${codeOf(reply)}`);
    }
    const digests = await nas.sign("PUT", nas.path, body);
    const second = {
      ...digests.headers,
      "content-digest": [
        digests.headers["content-digest"] ?? "",
        "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:",
      ],
    };
    expect(codeOf(await bed.ask({ ...digests, headers: second })), "two digests").toBe("401 bad-signature");
  });

  it("counts once: captured and sent again it does nothing, before a restart or after", async () => {
    const host = await RegistryHost.make(bed, "captured");
    const captured: SignedRequest[] = [];
    const first = host.declare([binding("captured")]);
    pushReplyIn(await host.push(first));
    const bodies: [string, string, unknown?][] = [
      ["PUT", host.path, await pushOf(host, first)],
      ["PUT", `${host.path}/lease`, { lease: 3600, digest: (await pushOf(host, first)).digest }],
      ["PATCH", host.path, await deltaOf(host, first)],
      ["DELETE", host.path],
    ];
    for (const [method, path, body] of bodies) {
      host.sequence++;
      const request = await host.sign(method, path, body);
      expect((await bed.ask(request)).status, method).toBeLessThan(300);
      captured.push(request);
    }
    pushReplyIn(await host.push(first));
    host.sequence++;
    const upgrade = await signedUpgrade(host, first);
    captured.push(asUpgrade(upgrade));
    const link = await rawConnection(bed);
    link.socket.write(upgradeText(upgrade));
    await until("the link", () => link.read().startsWith("HTTP/1.1 101"));
    link.socket.destroy();

    for (const request of captured)
      expect(`${request.method} ${codeOf(await bed.ask(request))}`).toBe(`${request.method} 409 superseded`);
    await bed.restart();
    for (const request of captured)
      expect(`${request.method} ${codeOf(await bed.ask(request))}`).toBe(
        `${request.method} 401 unknown-generation`,
      );
    const { hosts } = await bed.json<HostList>("/v1/hosts");
    expect(hosts.find(({ hostId }) => hostId === host.hostId)).toMatchObject({ bindings: 1 });
  });

  async function pushOf(host: RegistryHost, declared: ReturnType<RegistryHost["declare"]>) {
    return { lease: host.lease, digest: await digestOf(declared), declared };
  }

  async function deltaOf(host: RegistryHost, before: ReturnType<RegistryHost["declare"]>) {
    const changed = [binding("captured", { port: 4711 })];
    const { bindings: _, ...declared } = before;
    return {
      lease: host.lease,
      base: await digestOf(before),
      digest: await digestOf({ ...before, bindings: changed }),
      declared,
      changed,
      gone: [],
    };
  }

  const upgradeFields = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "sec-websocket-protocol": "berth.link.1",
  };
  function asUpgrade(request: SignedRequest): SignedRequest {
    return { ...request, headers: { ...request.headers, ...upgradeFields } };
  }
  function upgradeText({ path, headers }: SignedRequest): string {
    const fields = Object.entries({ host: "localhost", ...headers, ...upgradeFields });
    return `GET ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}`).join("\r\n")}\r\n\r\n`;
  }
});

describe("what a request says", () => {
  const marker = "marker-of-a-secret-token-nobody-may-see";

  it("of a token is in no log, audit row or reply, over HTTP/1.1 and HTTP/2, however malformed it is", async () => {
    const paths = [
      `/t/${marker}/dns-query`,
      `/t/${marker}`,
      `/t/${marker}/x/../dns-query`,
      `/t/${marker}/dns-query/%zz`,
      `//t/${marker}/dns-query`,
      `/%74/${marker}/dns-query`,
      `/t//${marker}/dns-query`,
      `/t/${marker}%2fdns-query`,
      `/t/${marker}/dns-query?dns=%%%`,
      `/T/${marker}/dns-query`,
      `/t\\${marker}\\dns-query`,
      `https://localhost/t/${marker}/dns-query`,
    ];
    const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"];
    const replies: string[] = [];
    for (const path of paths) {
      for (const method of methods)
        replies.push(
          await rawReply(
            `${method} ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
          ),
        );
    }
    replies.push(
      await rawReply(`GET /t/${marker}/dns-query HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n`),
    );
    replies.push(await rawReply(`GET /t/${marker}/dns-query HTTP/1.1\r\nconnection: close\r\n\r\n`));
    replies.push(await rawReply(`GET /t/${marker} \x00 /dns-query HTTP/1.1\r\nhost: x\r\n\r\n`));
    for (const auth of [`Bearer ${marker}`, `Bearer  ${marker} ${marker}`, `Basic ${marker}`, marker]) {
      for (const path of ["/v1/hosts", "/dns-query", "/v1/tokens", `${nas.path}/link`])
        replies.push(
          await rawReply(
            `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${auth}\r\nconnection: close\r\n\r\n`,
          ),
        );
    }
    replies.push(...(await http2Replies(paths.slice(0, -1), methods)));
    expect(replies.length).toBeGreaterThan(150);
    expect(replies.filter((reply) => reply.includes(marker))).toEqual([]);
    expect(replies.filter((reply) => /^HTTP\/1\.1 (2|5)|^(2|5)\d\d /.test(reply))).toEqual([]);
    await until("the refusals to be written down", async () =>
      (await auditRows()).some(({ target }) => target.includes("/t/:token")),
    );
    expect(JSON.stringify(await auditRows())).not.toContain(marker);
    expect(bed.log.join("\n")).not.toContain(marker);
  });

  it("cannot forge a line of the log or the audit record", async () => {
    const forged = "x\nerror resolver: forged\r\u2028\u001b[31m";
    const declared = nas.declare([binding("kept", { container: forged, instance: forged })], {
      problems: [{ container: forged, code: "forged", message: forged }],
    });
    pushReplyIn(await nas.push(declared));
    expect(codeOf(await nas.push({ ...declared, hostLabel: forged }))).toBe("422 invalid-body");
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ kind: "agent", owner: forged });
    expect(
      codeOf(await bed.ask({ method: "POST", path: "/v1/tokens", token: bed.token("admin"), headers, body })),
    ).toBe("422 invalid-body");
    await bed.ask({
      method: "DELETE",
      path: `/v1/names/${encodeURIComponent(forged)}/hold`,
      token: bed.token("admin"),
    });
    await bed.ask({
      method: "DELETE",
      path: `/v1/tokens/${encodeURIComponent(forged)}`,
      token: bed.token("agent"),
    });
    for (const { target, detail } of await auditRows())
      expect(`${target} ${detail}`).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
    expect(bed.log.filter((line) => !/^(debug|info|warn|error) +resolver: /.test(line))).toEqual([]);
    expect(bed.log.filter((line) => line.includes("forged"))).toEqual([]);
    pushReplyIn(await nas.pushNames(["kept"]));
  });

  it("by a crooked path or an odd method reaches nothing without a token, and breaks nothing with one", async () => {
    const paths = [
      "/v1",
      "/v1/",
      "/v1/hosts",
      "/v1//hosts",
      "//v1/hosts",
      "/v1/hosts/",
      "/v1/hosts/..;/tokens",
      "/v1/hosts/%2e%2e/tokens",
      "/v1%2fhosts",
      "/v1/hosts/a%2fb",
      "/v1/./hosts",
      "/V1/hosts",
      "/v1/services",
      "/v1/names",
      "/v1/names/kept/hold",
      "/v1/changes",
      "/v1/tokens",
      "/v1/tokens/x",
      "/v1/audit",
      "/v1/backup",
      `${nas.path}`,
      `${nas.path}/lease`,
      `${nas.path}/link`,
      "/dns-query",
      "/dns-query/",
      "/healthz",
      "/",
      "/*",
      "/v1/hosts/%00",
      "/v1/hosts/%ff",
    ];
    const open = new Set(["/healthz"]);
    for (const method of ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "POST"]) {
      for (const path of paths) {
        const bare = await bed.ask({ method, path });
        if (!open.has(path))
          expect(`${method} ${path} ${bare.status}`).toMatch(/ (400|401|403|404|405|426|501)$/);
        if (path === "/v1/changes" && method === "GET") continue;
        const reply = await bed.ask({ method, path, token: bed.token("reader") });
        expect(`${method} ${path} ${reply.status}`).toMatch(/ (200|400|401|403|404|405|415|426|501)$/);
      }
    }
    expect(bed.log.filter((line) => line.startsWith("error"))).toEqual([]);
    expect((await bed.json<ServiceList>("/v1/services")).services.map(({ name }) => name)).toContain(
      "kept.berth.internal.",
    );
  });

  async function rawReply(request: string): Promise<string> {
    const { socket, closed, read } = await rawConnection(bed);
    socket.write(request);
    socket.end();
    await closed;
    return read();
  }

  async function http2Replies(paths: string[], methods: string[]): Promise<string[]> {
    const session = connectHttp2(bed.url, { ca: bed.ca });
    session.on("error", () => undefined);
    const asked = paths.flatMap((path) => methods.map((method) => ({ ":path": path, ":method": method })));
    const replies = asked.map(async (headers) => {
      const stream = session.request(headers);
      stream.on("error", () => undefined);
      let text = "";
      stream.on("response", (fields) => (text += `${fields[":status"]} ${JSON.stringify(fields)}`));
      stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
      stream.end();
      await once(stream, "close");
      return text;
    });
    const all = await Promise.all(replies);
    session.destroy();
    return all;
  }
});
