import { createServer, request, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { EngineProxy, type EngineProxyOptions } from "./engine-proxy.ts";
import { type EventPlan, LineMangler, newMangleCounts } from "./engine-proxy-events.ts";
import { makeTemporaryDir, type TemporaryDir } from "./temporary-dir.ts";
import { until } from "./wait.ts";

describe("the proxy in front of an engine", () => {
  let dir: TemporaryDir;
  let engine: Server;
  let events: ServerResponse | undefined;
  let proxy: EngineProxy | undefined;

  beforeEach(async () => {
    dir = makeTemporaryDir("berth-y-");
    engine = createServer((asking, answer) => {
      if (!asking.url?.includes("/events")) answer.end(`${asking.method} ${asking.url}`);
      else {
        answer.flushHeaders();
        events = answer;
      }
    });
    await new Promise<void>((resolve) => engine.listen(join(dir.path, "sock"), resolve));
  });
  afterEach(async () => {
    await proxy?.close();
    engine.closeAllConnections();
    await new Promise((resolve) => engine.close(resolve));
    dir.remove();
  });
  async function start(options: Partial<EngineProxyOptions> = {}): Promise<EngineProxy> {
    proxy = await EngineProxy.start({ engine: join(dir.path, "sock"), ...options });
    return proxy;
  }

  test.each([
    ["GET", "/v1.41/containers/json?all=1"],
    ["GET", "/containers/abc/json"],
    ["GET", "/v1.41/images/localhost%2Fa/json"],
    ["GET", "/images/localhost/a:b/json"],
    ["GET", "/v1.41/networks"],
    ["GET", "/version"],
    ["GET", "/_ping"],
  ])("passes %s %s on as it is", async (method, path) => {
    expect(await ask(await start(), method, path)).toEqual({ status: 200, body: `${method} ${path}` });
  });

  test.each([
    ["POST", "/containers/abc/json"],
    ["DELETE", "/containers/abc"],
    ["GET", "/containers/abc/logs"],
    ["GET", "/containers/abc/archive?path=/json"],
    ["GET", "/v1.41/info"],
    ["GET", "/secrets"],
    ["POST", "/v1.41/containers/create"],
  ])("refuses %s %s", async (method, path) => {
    const started = await start();
    expect((await ask(started, method, path)).status).toBe(403);
    expect(started.refused.size).toBe(1);
  });

  test("passes info where it may", async () => {
    expect((await ask(await start({ allowsInfo: true }), "GET", "/info")).status).toBe(200);
  });

  test("remembers what was asked, without ids", async () => {
    const started = await start();
    await ask(started, "GET", "/v1.41/containers/a/json");
    await ask(started, "GET", "/v1.41/containers/b/json");
    expect([...started.asked]).toEqual([["GET /containers/ID/json", 2]]);
  });

  test("passes events as they come, and breaks their stream", async () => {
    const started = await start();
    const stream = await openEvents(started);
    events?.write('{"one":1}\n{"tw');
    events?.write('o":2}\n');
    await until("both", () => stream.lines.length === 2);
    expect(stream.lines).toEqual(['{"one":1}', '{"two":2}']);
    started.breakStreams();
    await until("the end", () => stream.isOver());
    expect(started.counts).toMatchObject({ passed: 2, broken: 1 });
  });

  test("ends the stream when the engine ends it", async () => {
    const stream = await openEvents(await start());
    events?.destroy();
    await until("the end", () => stream.isOver());
  });

  test("answers nothing while it hangs", async () => {
    const started = await start();
    started.hang();
    const asked = ask(started, "GET", "/_ping");
    await until("it was asked", () => started.counts.hung === 1);
    started.release();
    expect((await asked).status).toBe(200);
  });
});

describe("the fates of events", () => {
  test("depend on the seed alone", () => {
    const plan = { seed: 7, drop: 0.2, duplicate: 0.2, reorder: 0.2 };
    expect(mangled(plan, 50)).toEqual(mangled(plan, 50));
    expect(mangled(plan, 50)).not.toEqual(mangled({ ...plan, seed: 8 }, 50));
  });

  test("are none without a plan", () => {
    expect(mangled(undefined, 5)).toEqual(["0", "1", "2", "3", "4"]);
  });

  test.each<[string, EventPlan, string[]]>([
    ["drop", { seed: 1, drop: 1 }, []],
    ["duplicate", { seed: 1, duplicate: 1 }, ["0", "0", "1", "1", "2", "2"]],
    ["reorder", { seed: 1, reorder: 1 }, ["0", "1"]],
    ["delay", { seed: 1, delay: 1, delayMs: 60_000 }, []],
  ])("%s", (_, plan, expected) => {
    expect(mangled(plan, 3)).toEqual(expected);
  });

  test("lose nothing that is only reordered or delayed", async () => {
    const lines: string[] = [];
    const plan = { seed: 3, reorder: 0.5, delay: 0.5, delayMs: 20 };
    const mangler = new LineMangler(plan, 0, newMangleCounts(), (line) => lines.push(line));
    const sent = Array.from({ length: 40 }, (_, n) => `${n}`);
    mangler.take(`${sent.join("\n")}\n`);
    await until("all have come", () => lines.length === sent.length);
    expect(new Set(lines)).toEqual(new Set(sent));
    expect(lines).not.toEqual(sent);
  });
});

function mangled(plan: EventPlan | undefined, count: number): string[] {
  const lines: string[] = [];
  const mangler = new LineMangler(plan, 0, newMangleCounts(), (line) => lines.push(line));
  for (let n = 0; n < count; n++) mangler.take(`${n}\n`);
  mangler.close();
  return lines;
}

function ask(
  { socketPath }: EngineProxy,
  method: string,
  path: string,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, method, path, agent: false }, async (response) => {
      resolve({ status: response.statusCode ?? 0, body: await text(response) });
    });
    asking.on("error", reject).end();
  });
}

function openEvents({ socketPath }: EngineProxy): Promise<{ lines: string[]; isOver(): boolean }> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path: "/v1.41/events", agent: false }, (response) => {
      let received = "";
      let isOver = false;
      response.setEncoding("utf8").on("data", (chunk: string) => {
        received += chunk;
      });
      response.on("error", () => {});
      response.on("close", () => {
        isOver = true;
      });
      resolve({
        get lines() {
          return received.split("\n").filter(Boolean);
        },
        isOver: () => isOver,
      });
    });
    asking.on("error", reject).end();
  });
}
