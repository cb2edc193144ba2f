import { expect, test } from "vitest";

import { parseName } from "../shared/name.ts";
import type { AllParts } from "./all-parts.ts";
import { howToUse } from "./how-to-use.ts";

const parts: AllParts = {
  zone: parseName("berth.internal"),
  resolver: { host: "127.0.0.1", port: 8053 },
  resolverUrl: "https://127.0.0.1:8053",
  proxy: { host: "127.0.0.1", port: 1080 },
  page: { host: "127.0.0.1", port: 1081 },
  caFile: "/ca.pem",
  readerTokenFile: "/reader.token",
  needsToken: false,
  fetch,
  close: async () => {},
};

test("sends browsers to the proxy's page, which knows what is for the proxy", () => {
  const lines = howToUse(parts, ["web.shop.berth.internal"]).split("\n");
  expect(lines).toContain("Browser   automatic proxy configuration http://127.0.0.1:1081/proxy.pac");
  expect(lines).toContain("            chromium --proxy-pac-url=http://127.0.0.1:1081/proxy.pac");
  expect(lines).toContain("            then open http://web.shop.berth.internal/");
});

test("sends them to the proxy itself where its page could not be served", () => {
  const text = howToUse({ ...parts, page: undefined }, ["web.shop.berth.internal"]);
  expect(text).toContain("Browser   SOCKS5 proxy 127.0.0.1:1080, with names resolved by the proxy\n");
  expect(text).toContain("chromium --proxy-server=socks5://127.0.0.1:1080\n");
  expect(text).not.toContain("1081");
});

test("leaves it to the shell to read the token that lookups need", () => {
  const text = howToUse({ ...parts, needsToken: true }, []);
  expect(text).toContain("+https=localhost/t/$(cat /reader.token)/dns-query");
  expect(howToUse(parts, [])).not.toContain("reader.token");
});
