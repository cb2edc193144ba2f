import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { binding } from "../../resolver/store/contract/builders.ts";
import type { ServiceList } from "../../shared/registry-views.ts";
import { until } from "../testbed/wait.ts";
import type { RegistryBed } from "./registry-bed.ts";
import { pushReplyIn, type RegistryHost } from "./registry-host.ts";
import { rawConnection } from "./registry-streams.ts";
import { auditRows, codeOf, startServing } from "./serving-registry.ts";

let bed: RegistryBed;
let nas: RegistryHost;

beforeAll(async () => {
  ({ bed, nas } = await startServing());
});
afterAll(() => bed?.close());

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
      (await auditRows(bed)).some(({ target }) => target.includes("/t/:token")),
    );
    expect(JSON.stringify(await auditRows(bed))).not.toContain(marker);
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
    for (const { target, detail } of await auditRows(bed))
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
