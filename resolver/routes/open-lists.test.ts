import { describe, expect, test } from "vitest";

import { portListSchema, zoneListSchema } from "../../shared/registry-views.ts";
import { binding, zone } from "../store/contract/builders.ts";
import {
  adminToken,
  agentToken,
  createTestApp,
  faultOf,
  hostId,
  pushBody,
  readerToken,
} from "../testing/app.ts";
import type { ZoneReader, ZoneView } from "../zone/zone.ts";

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const none: ZoneView = { serial: 9, revision: 9, exists: false, rrsets: [], additional: [] };

/** The app with one host that serves `web.shop` on two ports, and what is asked of it. */
async function serving(bindings = [binding("web.shop"), binding("web.shop", { servicePort: 443 })]) {
  const bed = createTestApp();
  const { declared } = await pushBody();
  await bed.agent.send("PUT", `/v1/hosts/${hostId}`, await pushBody({ ...declared, bindings }));
  const ask = async (name: string) => bed.app.request(`/v1/names/${name}`);
  return { ...bed, ask };
}

describe("GET /v1/zones", () => {
  test("says which zone is answered for, and for how long that may be kept", async () => {
    const response = await createTestApp().app.request("/v1/zones");
    expect(response.headers.get("cache-control")).toBe("max-age=5");
    const list = await response.json();
    expect(zoneListSchema.parse(list)).toEqual(list);
    expect(list).toEqual({ zones: [zone] });
  });
});

describe("GET /v1/names/NAME", () => {
  test("lists the ports with an SRV answer, and how long that may be kept", async () => {
    const { ask } = await serving();
    const response = await ask("web.shop.berth.internal");
    expect(response.headers.get("cache-control")).toBe("max-age=5");
    const list = await response.json();
    expect(portListSchema.parse(list)).toEqual(list);
    const ports = [80, 443].map((servicePort) => ({ protocol: "tcp", servicePort }));
    expect(list).toEqual({ revision: 1, zone, name: `web.shop.${zone}`, ports });
  });

  test("lists TCP before UDP, each ascending, with the port that stands in for 80", async () => {
    const { ask } = await serving([
      binding("web.shop", { servicePort: 3000 }),
      binding("web.shop", { servicePort: 5353, protocol: "udp" }),
      binding("web.shop", { servicePort: 53, protocol: "udp" }),
    ]);
    const { ports } = portListSchema.parse(await (await ask("web.shop.berth.internal")).json());
    expect(ports.map(({ protocol, servicePort }) => `${servicePort}/${protocol}`)).toEqual([
      ...["80/tcp", "3000/tcp", "53/udp", "5353/udp"],
    ]);
  });

  test("leaves out a port whose instances are all hidden", async () => {
    const { ask } = await serving([
      binding("web.shop"),
      binding("web.shop", { servicePort: 443, health: "starting" }),
    ]);
    const { ports } = portListSchema.parse(await (await ask("web.shop.berth.internal")).json());
    expect(ports).toEqual([{ protocol: "tcp", servicePort: 80 }]);
  });

  test.each([
    "WEB.Shop.Berth.Internal",
    "web.shop.berth.internal.",
    "web%2eshop.berth.internal",
    "%77eb.shop.berth.internal%2E",
  ])("knows the name when it is written %s", async (text) => {
    const { ask } = await serving();
    expect((await ask(text)).status).toBe(200);
  });

  test.each([
    ["a name nobody serves", "db.shop.berth.internal"],
    ["a name above one", "shop.berth.internal"],
    ["a port's owner name", "_80._tcp.web.shop.berth.internal"],
    ["a host, which has addresses and no service", "nas.host.berth.internal"],
    ["the zone", "berth.internal"],
    ["another zone's name", "web.shop.berth.example"],
    ["one that ends alike", "web.shop.notberth.internal"],
    [
      "one that leaves no room for ports",
      `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(53)}.berth.internal`,
    ],
  ])("answers 404 for %s", async (_, text) => {
    const { ask, logged } = await serving();
    expect(await faultOf(await ask(text))).toMatchObject({ status: 404, code: "unknown-name" });
    expect(logged).toEqual([]);
  });

  test.each([
    ...[
      "%",
      "%zz",
      "%ff%fe",
      "%00",
      "web%0d%0aset-cookie:x",
      "..%2f..%2fhosts",
      "web%2fshop",
      "a b",
      "w%C3%ABb",
    ],
    ...["-web.berth.internal", "web..berth.internal", "*.berth.internal", "x".repeat(64), "a.".repeat(200)],
    "x".repeat(10_000),
  ])("answers 400 for %j, which is no name", async (text) => {
    const { ask, logged } = await serving();
    const fault = await faultOf(await ask(text));
    expect(fault).toMatchObject({ status: 400, code: "malformed-name" });
    expect(JSON.stringify(fault).length).toBeLessThan(500);
    expect(logged).toEqual([]);
  });

  test("does not look for a name of another zone, and says which zone it is", async () => {
    const read = () => expect.fail("the zone was read");
    const response = await createTestApp({ zone: { read } }).app.request("/v1/names/web.example.org");
    expect((await faultOf(response)).message).toBe(
      "web.example.org lies outside: this resolver answers for berth.internal only",
    );
  });

  test.each([
    ["", false],
    ["no-cache", true],
  ])("cache-control %j asks past every copy: %s", async (header, expected) => {
    const asked: boolean[] = [];
    const reader: ZoneReader = {
      read(_, fresh) {
        asked.push(fresh);
        return none;
      },
    };
    const headers = { "cache-control": header };
    await createTestApp({ zone: reader }).app.request("/v1/names/web.berth.internal", { headers });
    expect(asked).toEqual([expected, expected]);
  });
});

describe("while the registry cannot be read, GET /v1/names/NAME", () => {
  /** A copy holds what is in `copied`; all else throws. */
  async function outage(copied: Record<string, ZoneView>) {
    const read = (owner: string) => {
      const view = copied[owner.split(".")[0] ?? ""];
      if (view === undefined) throw new Error("the object is gone");
      return view;
    };
    const { app } = createTestApp({ zone: { read } });
    return app.request("/v1/names/web.berth.internal");
  }

  test("lists what a copy has, and says that there may be more", async () => {
    const { store, agent } = createTestApp();
    await agent.send("PUT", `/v1/hosts/${hostId}`, await pushBody());
    const response = await outage({ _tcp: await store.read(`_tcp.web.shop.${zone}`) });
    expect(await response.json()).toMatchObject({ stale: true, ports: [{ servicePort: 80 }] });
  });

  test("says of a list from a copy of unknown age that it is stale", async () => {
    const { store, agent } = createTestApp();
    await agent.send("PUT", `/v1/hosts/${hostId}`, await pushBody());
    const copy = await store.read(`_tcp.web.shop.${zone}`);
    const response = await outage({ _tcp: { ...copy, stale: true }, _udp: none });
    expect(await response.json()).toMatchObject({ stale: true, ports: [{ servicePort: 80 }] });
  });

  test.each([
    ["nothing is copied", {}],
    ["half of it surely is not there", { _udp: none }],
  ])("never says that there is no port: %s", async (_, copied) => {
    const response = await outage(copied);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await faultOf(response)).toMatchObject({ status: 503, code: "store-unavailable" });
  });
});

describe("where lookups need a token", () => {
  const { app } = createTestApp({ lookupsNeedToken: true });
  const paths = ["/v1/zones", "/v1/names/web.berth.internal"];

  test.each([readerToken, agentToken, adminToken])("both are open for the bearer of %s", async (token) => {
    const statuses = paths.map(async (path) => (await app.request(path, bearer(token))).status);
    expect(await Promise.all(statuses)).toEqual([200, 404]);
  });

  test.each([
    ["no token", {}],
    ["a wrong one", bearer("some-other-token-entirely")],
    ["what is no token", { headers: { authorization: "Basic dXNlcjpwYXNz" } }],
  ])("neither is with %s", async (_, init) => {
    for (const path of paths) {
      const response = await app.request(path, init);
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
      expect(await faultOf(response)).toMatchObject({ status: 401, code: "unknown-token" });
    }
  });
});

describe("where they need none", () => {
  test("nobody is asked for one, and one that is sent is not looked at", async () => {
    const { app } = createTestApp();
    expect((await app.request("/v1/zones")).status).toBe(200);
    expect((await app.request("/v1/zones", bearer("stale"))).status).toBe(200);
  });

  test("what else is below the same paths still needs one", async () => {
    const { app } = createTestApp();
    for (const [method, path] of [
      ["GET", "/v1/names"],
      ["DELETE", "/v1/names/web.berth.internal/hold"],
      ["DELETE", "/v1/names/web.berth.internal"],
      ["POST", "/v1/zones"],
      ["GET", "/v1/zones/berth.internal"],
      ["GET", "/v1/names/web.berth.internal/ports"],
    ] as const) {
      expect([method, path, (await app.request(path, { method })).status]).toEqual([method, path, 401]);
    }
  });
});
