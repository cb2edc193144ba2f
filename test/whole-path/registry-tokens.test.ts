import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { binding } from "../../resolver/store/contract/builders.ts";
import { digestOf } from "../../shared/digest.ts";
import type { HostList } from "../../shared/registry-views.ts";
import type { CreatedToken } from "../../shared/tokens.ts";
import { until } from "../testbed/wait.ts";
import { askNode } from "./asked-names.ts";
import type { RegistryBed } from "./registry-bed.ts";
import { pushReplyIn, RegistryHost, type SignedRequest } from "./registry-host.ts";
import { feedOf, linkOf, rawConnection, signedUpgrade } from "./registry-streams.ts";
import { codeOf, createToken, startServing } from "./serving-registry.ts";

let bed: RegistryBed;
let nas: RegistryHost;

beforeAll(async () => {
  ({ bed, nas } = await startServing());
});
afterAll(() => bed?.close());

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
    const { token } = await createToken(bed, { scope: { hosts: ["nas"] } });
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
    const created = await createToken(bed);
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
    const created = await createToken(bed, { expiresIn: 2 });
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
    const other = await createToken(bed);
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
