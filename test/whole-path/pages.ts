import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { CurlResult } from "../testbed/dns-clients.ts";
import type { Engine } from "../testbed/engine.ts";
import { until } from "../testbed/wait.ts";
import type { World } from "./world.ts";

/** Starts a container that says `page`, on a host port of the engine's choosing unless `publish` says another. */
export async function serve(
  engine: Engine,
  name: string,
  options: { page?: string; publish?: string; labels?: Record<string, string>; restart?: string } = {},
): Promise<void> {
  const { page = name, publish = "80", labels = {}, restart } = options;
  const env = { BERTH_PAGE: page };
  await engine.runContainer({ name, publish: [publish], labels, env, ...(restart ? { restart } : {}) });
}

/** As docker-compose labels the containers of a service. */
export function composeLabels(project: string, service: string): Record<string, string> {
  return { "com.docker.compose.project": project, "com.docker.compose.service": service };
}

/** What the sample image answered, or undefined when curl got no page. */
export function pageOf({ body, status }: CurlResult): string | undefined {
  return status === undefined ? undefined : (/<p>(.*) on /.exec(body)?.[1] ?? `HTTP ${status}: ${body}`);
}

/** Waits, without a claim about how long, until the name leads to the page. */
export async function untilPage(world: Pick<World, "fetch">, url: string, page: string): Promise<void> {
  await until(`${url} to show ${page}`, async () => pageOf(await world.fetch(url)) === page, {
    timeoutMs: 30_000,
  });
}

/** 97: the proxy refused. 7: it does not listen. 52 and 56: the connection ended before a byte of an answer. */
const withoutPage = [97, 7, 52, 56];

/**
 * Fetches at once and again until a page comes, which has to be the right one. What fails in between has to fail as a
 * connection does.
 */
export async function fetchAgain(
  world: World,
  url: string,
  page: string,
): Promise<{ tries: number; ms: number }> {
  const start = performance.now();
  for (let tries = 1; ; tries++) {
    const result = await world.fetch(url);
    const ms = Math.round(performance.now() - start);
    if (result.status !== undefined) {
      expect(pageOf(result)).toBe(page);
      return { tries, ms };
    }
    expect(withoutPage, result.stderr).toContain(result.code);
    if (ms > 5000) throw new Error(`${url}: no page for ${ms} ms; ${result.stderr}`);
    await sleep(20);
  }
}
