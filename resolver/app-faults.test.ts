import { describe, expect, test } from "vitest";

import { dnsMessageType, dohPath } from "../shared/dns/doh.ts";
import { BerthError } from "../shared/errors.ts";
import { replyToFault } from "./faults.ts";
import { agentToken, createTestApp, faultOf, queryFor, send } from "./testing/app.ts";

describe("a fault nobody foresaw", () => {
  const broken = () => {
    throw new Error("secret detail", { cause: new Error("disk on fire") });
  };
  test("is logged in full, without the token, and answered blandly", async () => {
    const { store } = createTestApp();
    const { app, logged } = createTestApp({ store: { ...store, hosts: broken } });
    const response = await send(app, "GET", "/v1/hosts?q=x");
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(text).toContain("internal");
    expect(text).not.toContain("secret detail");
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain("secret detail: disk on fire");
    expect(logged[0]).not.toContain(agentToken);
  });

  test("of a store that is away is told, with the time to try again", async () => {
    const away = (code: string) => () => {
      throw new BerthError(code, "etcd does not answer");
    };
    const { store } = createTestApp();
    for (const code of ["store-unavailable", "disk-full"]) {
      const { app, logged } = createTestApp({ store: { ...store, hosts: away(code) } });
      const response = await send(app, "GET", "/v1/hosts");
      expect(response.headers.get("retry-after")).toBe("5");
      expect(await faultOf(response)).toMatchObject({ status: 503, code, message: "etcd does not answer" });
      expect(logged).toEqual([]);
    }
  });

  test("with a code that is nobody's business is answered blandly as well", async () => {
    const { store } = createTestApp();
    for (const code of ["bad-database", "toString", "__proto__"]) {
      const hosts = () => {
        throw new BerthError(code, "secret detail");
      };
      const { app, logged } = createTestApp({ store: { ...store, hosts } });
      const fault = await faultOf(await send(app, "GET", "/v1/hosts"));
      expect(fault).toMatchObject({
        status: 500,
        code: "internal",
        message: expect.not.stringContaining("secret"),
      });
      expect(logged).toHaveLength(1);
      const noted: unknown[] = [];
      expect(replyToFault(new BerthError(code, "x"), (fault) => noted.push(fault)).status).toBe(500);
      expect(noted).toHaveLength(1);
    }
  });

  test("while reading the zone is SERVFAIL that nobody caches, and an unhealthy /healthz", async () => {
    const { app, logged } = createTestApp({ zone: { read: broken } });
    const body = new Uint8Array(queryFor("web", 1));
    const response = await app.request(dohPath, {
      method: "POST",
      headers: { "content-type": dnsMessageType },
      body,
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect((new Uint8Array(await response.arrayBuffer())[3] ?? 0) & 15).toBe(2);
    expect((await app.request("/healthz")).status).toBe(500);
    expect(logged).toHaveLength(2);
  });
});

test("/healthz tells the zone, to anybody", async () => {
  const response = await createTestApp().app.request("/healthz");
  expect(await response.json()).toEqual({ status: "ok", zone: "berth.internal" });
});
