import { expect, test } from "vitest";

import { createTestApp, hostId, pushBody } from "../resolver/testing/app.ts";
import { parseName } from "../shared/name.ts";
import { startResolver } from "./testing/doh-server.ts";
import { stubBedOf } from "./testing/stub-bed.ts";

const web = "web.shop.berth.internal";

test("a stub resolver and a resolver of its own kind understand each other", async () => {
  const { app, agent } = createTestApp();
  await agent.send("PUT", `/v1/hosts/${hostId}`, await pushBody());
  const inProcess: typeof fetch = async (url, init) => app.request(String(url), init);
  const stand = await startResolver();
  const { stub, resolve } = stubBedOf(stand, { learnsZones: true, ports: { fetch: inProcess } });
  stand.close();

  expect(await resolve(web, 80)).toMatchObject({
    kind: "endpoints",
    endpoints: [{ addresses: ["10.0.0.5"], port: 32768 }],
    inZone: true,
  });
  expect(await resolve(web, 22)).toEqual({ kind: "port-not-published", published: [80] });
  expect(await resolve("nas.host.berth.internal", 22)).toMatchObject({
    endpoints: [{ addresses: ["10.0.0.5"], port: 22 }],
  });
  expect(await resolve("gone.berth.internal", 80)).toMatchObject({ kind: "not-found" });
  expect(await stub.portsOf(parseName(web), {})).toEqual({
    kind: "ports",
    ports: [{ protocol: "tcp", port: 80 }],
  });
  const none = await stub.portsOf(parseName("gone.berth.internal"), {});
  expect(none).toMatchObject({ kind: "none", answer: { kind: "nxdomain" } });
  expect(stub.status()).toMatchObject({
    zones: ["berth.internal."],
    resolvers: [{ state: "current" }],
    feed: "off",
  });
});
