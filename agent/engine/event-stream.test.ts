import { mkdtemp, rename, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { createEngine } from "./docker.ts";
import type { EngineLimits } from "./docker-engine.ts";
import type { Engine } from "./engine.ts";
import type { EngineEvent } from "./event-lines.ts";
import { parseEngineTargets } from "./target.ts";

// Over a real socket, with a server that remembers its events as Docker does.

let dir: string;
let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "berth-d-"));
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(join(dir, "sock"), resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(dir, { recursive: true });
});

function engineAt(path: string, limits: EngineLimits): Engine {
  const [target] = parseEngineTargets(path, {});
  if (target === undefined) throw new Error(path);
  return createEngine(target, limits);
}

describe("an event stream that is cut", () => {
  /** What the engine's process remembers; a new process remembers nothing. */
  let remembered: string[];
  let streams: ServerResponse[];
  let kind: "docker" | "podman";
  let held: ServerResponse[];
  let isHanging: boolean;
  let isReordering: boolean;
  let asked: URLSearchParams[];
  const hints: EngineEvent[] = [];
  const faults: Error[] = [];
  let told = 0;

  const looked = (id: string | undefined) => ({ kind: "look", id });
  const ids = () => hints.map((event) => ("id" in event ? event.id : event.kind));
  /** Something happens in the engine. */
  function happen(id: string): void {
    const timeNano = 1_732_270_804_123_456_000n + BigInt(told++);
    const line = `{"Type":"container","Action":"start","Actor":{"ID":"${id}"},"timeNano":${timeNano}}\n`;
    remembered.push(line);
    for (const stream of streams) stream.write(line);
  }
  const timeOf = (line: string) => /:(\d+)\}/.exec(line)?.[1] ?? "";
  const isSince = (line: string, since: string) => BigInt(timeOf(line)) >= BigInt(since.replace(".", ""));

  function serveEvents(query: URLSearchParams, response: ServerResponse): void {
    asked.push(query);
    const since = query.get("since");
    response.writeHead(200).flushHeaders();
    const past = since === null ? [] : remembered.filter((line) => since === "1" || isSince(line, since));
    for (const line of isReordering ? past.toReversed() : past) response.write(line);
    if (query.has("until")) response.end();
    else streams.push(response);
  }

  beforeEach(() => {
    hints.length = faults.length = 0;
    [remembered, streams, held, asked] = [[], [], [], []];
    kind = "docker";
    isHanging = isReordering = false;
    answer = (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://engine");
      if (isHanging) held.push(response);
      else if (pathname === "/events") serveEvents(searchParams, response);
      else response.end(`{"Components":[{"Name":"${kind === "podman" ? "Podman Engine" : "Engine"}"}]}`);
    };
  });

  async function watch(resumeMs = 5_000): Promise<{ close(): void }> {
    const patient = engineAt(join(dir, "sock"), { callMs: 10_000, quietMs: 10_000, resumeMs, calmMs: 0 });
    const opened = await patient.watchEvents(
      (event) => hints.push(event),
      (fault) => faults.push(fault),
    );
    await vi.waitFor(() => expect(asked.length).toBe(kind === "docker" ? 2 : 1));
    return opened;
  }
  /** As a proxy's idle time-out does: the engine does not notice. */
  function cut(): void {
    for (const stream of streams.splice(0)) stream.destroy();
  }

  test("goes on where it was, with what happened meanwhile, and nobody was gone", async () => {
    const opened = await watch();
    happen("aa");
    await vi.waitFor(() => expect(ids()).toEqual(["aa"]));
    cut();
    happen("bb");
    await vi.waitFor(() => expect(ids()).toEqual(["aa", "bb", undefined]));
    happen("cc");
    await vi.waitFor(() => expect(ids()).toEqual(["aa", "bb", undefined, "cc"]));
    expect(faults).toEqual([]);
    cut();
    await vi.waitFor(() => expect(hints.at(-1)).toEqual(looked(undefined)));
    expect(faults).toEqual([]);
    opened.close();
  });

  test("loses nothing where what happened meanwhile comes before what was heard last", async () => {
    const opened = await watch();
    happen("aa");
    await vi.waitFor(() => expect(ids()).toEqual(["aa"]));
    isReordering = true;
    cut();
    happen("bb");
    await vi.waitFor(() => expect(ids()).toEqual(["aa", "bb", undefined]));
    opened.close();
  });

  test("goes on although nothing happened since the subscription", async () => {
    happen("before");
    const opened = await watch();
    // The answer to what happened before is on its way.
    await vi.waitFor(async () => {
      cut();
      await vi.waitFor(() => expect(hints).toEqual([looked(undefined)]), { timeout: 500 });
    });
    expect(faults).toEqual([]);
    opened.close();
  });

  test.each([
    ["answers at once", () => {}],
    ["has already started containers", () => happen("new")],
  ])("is the engine's end when a new process %s", async (_, restart) => {
    await watch(200);
    happen("aa");
    await vi.waitFor(() => expect(ids()).toEqual(["aa"]));
    remembered.length = 0;
    cut();
    restart();
    await vi.waitFor(() => expect(faults).toHaveLength(1));
    expect(faults[0]).toMatchObject({ code: "engine-unreachable", facts: { gone: true } });
    expect(ids()).toEqual(["aa"]);
    await vi.waitFor(() => expect(streams.every(({ destroyed }) => destroyed)).toBe(true));
  });

  test.each(["refused", "silent"])("is the engine's end when the next connection is %s", async (how) => {
    await watch(how === "silent" ? 100 : 60_000);
    happen("aa");
    await vi.waitFor(() => expect(ids()).toEqual(["aa"]));
    if (how === "silent") isHanging = true;
    else await rename(join(dir, "sock"), join(dir, "sock2"));
    cut();
    await vi.waitFor(() => expect(faults).toHaveLength(1));
    expect(faults[0]).toMatchObject({ facts: { gone: true } });
    if (how === "refused") await rename(join(dir, "sock2"), join(dir, "sock"));
  });

  test("is the engine's end when it forgets nothing at its end, or was cut too soon", async () => {
    kind = "podman";
    await watch();
    happen("aa");
    await vi.waitFor(() => expect(ids()).toEqual(["aa"]));
    cut();
    await vi.waitFor(() => expect(faults).toHaveLength(1));
    kind = "docker";
    await engineAt(join(dir, "sock"), { callMs: 10_000, quietMs: 10_000, calmMs: 60_000 }).watchEvents(
      (event) => hints.push(event),
      (fault) => faults.push(fault),
    );
    happen("bb");
    await vi.waitFor(() => expect(ids()).toEqual(["aa", "bb"]));
    cut();
    await vi.waitFor(() => expect(faults).toHaveLength(2));
    expect(asked.filter((query) => query.has("since") && !query.has("until"))).toEqual([]);
  });

  test("close while it is taken up again is no fault", async () => {
    const opened = await watch(200);
    happen("aa");
    await vi.waitFor(() => expect(ids()).toEqual(["aa"]));
    isHanging = true;
    cut();
    await vi.waitFor(() => expect(held.length).toBeGreaterThan(0));
    const ended = new Promise((resolve) => held[0]?.on("close", resolve));
    opened.close();
    await ended;
    await engineAt(join(dir, "absent"), { callMs: 10_000, quietMs: 10_000 })
      .list()
      .catch(() => undefined);
    expect(faults).toEqual([]);
  });
});
