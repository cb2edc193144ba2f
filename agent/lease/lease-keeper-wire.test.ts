import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";

import { fetchTrusting } from "../../cli/trust.ts";
import { openAuthority } from "../../resolver/serve/authority.ts";
import { systemClock } from "../clock.ts";
import { FakeResolver } from "../testing/fake-resolver.ts";
import { declaredOf, KeeperStand } from "../testing/keeper-stand.ts";
import { type LinkServer, serveFakeResolver } from "../testing/link-server.ts";
import { openLink } from "./link.ts";
import type { LinkEnd } from "./link-end.ts";

// Real time, real sockets, real TLS.

async function secureServer(resolver: FakeResolver): Promise<LinkServer & { caFile: string }> {
  const directory = await mkdtemp(join(tmpdir(), "berth-w-"));
  const authority = await openAuthority(directory);
  const tls = await authority.serverCertificate(["127.0.0.1"], Date.now());
  const server = await serveFakeResolver(resolver, tls);
  onTestFinished(async () => {
    await server.close();
    await rm(directory, { recursive: true });
  });
  return { ...server, caFile: authority.caFile };
}

function endOf(url: string): Promise<LinkEnd> {
  return new Promise((resolve) => {
    openLink({ url, headers: {} }, { onOpen: () => {}, onMessage: () => {}, onEnd: resolve });
  });
}

test("pushed over TLS, renewed by a link that trusts what fetch trusts, closed with a goodbye", async () => {
  const resolver = new FakeResolver(() => systemClock.now());
  resolver.registry.lease = 1;
  const server = await secureServer(resolver);
  expect(await endOf(`${server.url}/v1/`)).toMatchObject({ kind: "failed" });

  const fetch = fetchTrusting(server.caFile, true);
  const stand = new KeeperStand({ urls: [`${server.url}/`], fetch, openLink, clock: systemClock });
  stand.keeper.offer(declaredOf("web"));
  await vi.waitFor(() => expect(server.pings()).toBeGreaterThan(2), { timeout: 5_000 });
  expect(resolver.requests.map(({ kind }) => kind)).toEqual(["push"]);
  expect(resolver.upgrades).toHaveLength(1);

  await stand.end();
  await vi.waitFor(() => expect(server.codes).toEqual([1000]), { timeout: 5_000 });
  expect(stand.log.matching(/warn|error/)).toEqual([]);
});

test("a set that the registry lost: the ping's answer is 4409, and the whole set follows", async () => {
  const resolver = new FakeResolver(() => systemClock.now());
  resolver.registry.lease = 1;
  const server = await serveFakeResolver(resolver);
  onTestFinished(() => server.close());
  const stand = new KeeperStand({ urls: [server.url], fetch, openLink, clock: systemClock });
  onTestFinished(() => stand.end());
  stand.keeper.offer(declaredOf("web"));
  await vi.waitFor(() => expect(server.pings()).toBeGreaterThan(0), { timeout: 5_000 });
  resolver.registry.forget();
  const kinds = () => resolver.requests.map(({ kind }) => kind);
  await vi.waitFor(() => expect(kinds()).toEqual(["push", "push"]), { timeout: 5_000 });
});
