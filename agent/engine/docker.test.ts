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

// Faults a real engine cannot be made to show at will, over a real socket: dockerode and docker-modem are part of what is tested.

function engineAt(text: string, limits?: EngineLimits): Engine {
  const [target] = parseEngineTargets(text, {});
  if (target === undefined) throw new Error(text);
  return createEngine(target, limits);
}

let dir: string;
let server: Server;
let engine: Engine;
/** For tests that wait for its limits. */
let hasty: Engine;
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "berth-d-"));
  const path = join(dir, "sock");
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  engine = engineAt(path, { callMs: 10_000, quietMs: 10_000 });
  hasty = engineAt(path, { callMs: 80, quietMs: 30 });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(dir, { recursive: true });
});

function json(value: unknown, status = 200): typeof answer {
  return (_, response) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  };
}

describe("calls", () => {
  test("list: only those that run, without the slash", async () => {
    let asked = "";
    answer = (request, response) => {
      asked = request.url ?? "";
      json([{ Id: "7f5b", Names: ["/web"], Status: "Up 3 seconds" }])(request, response);
    };
    expect(await engine.list()).toMatchObject([{ id: "7f5b", name: "web" }]);
    expect(asked).toBe("/containers/json");
  });

  test("list: Podman is asked for those that are paused as well, in words it knows", async () => {
    let asked = "";
    answer = (request, response) => {
      asked = request.url ?? "";
      const version = { Version: "4.3.1", Components: [{ Name: "Podman Engine" }] };
      json(asked === "/version" ? version : asked === "/info" ? {} : [])(request, response);
    };
    await engine.about();
    await engine.list();
    expect(decodeURIComponent(asked)).toBe('/containers/json?filters={"status":["running","paused"]}');
  });

  test("inspect: undefined for a container that is gone, a fault for anything else", async () => {
    answer = json({ message: "No such container" }, 404);
    expect(await engine.inspect("7f5b")).toBeUndefined();
    answer = json({ message: "broken" }, 500);
    await expect(engine.inspect("7f5b")).rejects.toMatchObject({ code: "engine-fault" });
  });

  test.each([
    ["the list", "[]", 64, () => engine.list()],
    ["a container", "{}", 8, () => engine.inspect("7f5b")],
  ])("%s that never ends is a fault, and its reading ends with it", async (_, body, mebibytes, ask) => {
    let sent = 0;
    const chunk = Buffer.alloc(1024 * 1024, " ");
    const { promise: cut, resolve } = Promise.withResolvers<void>();
    answer = (_request, response) => {
      response.writeHead(200).write(body);
      const more = (): void => {
        sent += 1;
        if (!response.destroyed) response.write(chunk, () => more());
      };
      response.on("close", () => resolve());
      more();
    };
    await expect(ask()).rejects.toMatchObject({
      code: "engine-fault",
      retryable: true,
      message: expect.stringMatching(`longer than ${mebibytes} MiB`),
    });
    await cut;
    expect(sent).toBeLessThan(mebibytes + 16);
  });

  test("a list of 32 MiB is read", async () => {
    answer = json([{ Id: "7f5b", Names: ["/web"], Labels: { long: "x".repeat(32 * 1024 * 1024) } }]);
    expect(await engine.list()).toMatchObject([{ id: "7f5b" }]);
  });

  test("an image that is gone, or may not be looked at, is none", async () => {
    let asked = "";
    answer = (request, response) => {
      asked = request.url ?? "";
      json({ Config: {} })(request, response);
    };
    expect(await engine.inspectImage("sha256:7f5b")).toEqual({ Config: {} });
    expect(asked).toBe("/images/sha256:7f5b/json");
    for (const status of [403, 404]) {
      answer = json({ message: "no" }, status);
      expect(await engine.inspectImage("sha256:7f5b")).toBeUndefined();
    }
  });

  test.each([
    ["text", "hello"],
    ["an object", '{"message":"x"}'],
    ["entries without id", '[{"Names":["/x"]}]'],
  ])("a list that is %s is a fault, never an empty list", async (_, body) => {
    answer = (_request, response) => response.end(body);
    await expect(engine.list()).rejects.toMatchObject({ code: "engine-fault", retryable: true });
  });
});

describe("what it is", () => {
  /** By recorded shape: what each was seen to answer, cut to what counts. */
  const podman = { Version: "4.3.1", Components: [{ Name: "Podman Engine" }, { Name: "Conmon" }] };
  const docker = { Version: "20.10.24", Components: [{ Name: "Engine" }, { Name: "containerd" }] };
  const told = (version: unknown, info: unknown, infoStatus = 200): typeof answer => {
    return (request, response) => {
      const isInfo = request.url === "/info";
      json(isInfo ? info : version, isInfo ? infoStatus : 200)(request, response);
    };
  };

  test.each([
    ["Docker", docker, {}, { kind: "docker", version: "20.10.24", rootless: false, liveRestore: false }],
    ["with live-restore", docker, { LiveRestoreEnabled: true }, { liveRestore: true }],
    ["rootless", docker, { SecurityOptions: ["name=seccomp", "name=rootless"] }, { rootless: true }],
    ["Podman", podman, { Rootless: false, SecurityOptions: null }, { kind: "podman", rootless: false }],
    ["rootless Podman", podman, { Rootless: true }, { kind: "podman", rootless: true }],
    ["of a kind that does not say", { Version: "27" }, null, { kind: "docker", version: "27" }],
  ])("%s", async (_, version, info, about) => {
    answer = told(version, info ?? {});
    expect(await engine.about()).toMatchObject(about);
  });

  test("one that may not tell of itself has no live-restore", async () => {
    answer = told(podman, { message: "forbidden" }, 403);
    expect(await engine.about()).toMatchObject({ kind: "podman", liveRestore: false });
  });

  test("but one that fails to is a fault", async () => {
    answer = told(docker, { message: "broken" }, 500);
    await expect(engine.about()).rejects.toMatchObject({ code: "engine-fault" });
  });
});

describe("an engine that hangs or is not there", () => {
  test("accepts and never answers", async () => {
    answer = () => {};
    await expect(hasty.list()).rejects.toMatchObject({
      code: "engine-unreachable",
      facts: { gone: false },
      message: expect.stringMatching(/did not answer within 0\.08 s/),
    });
  });

  test("stops in the middle of its answer", async () => {
    answer = (_, response) => response.writeHead(200, { "content-length": "100" }).write("[");
    await expect(hasty.list()).rejects.toMatchObject({ code: "engine-unreachable" });
  });

  test("drops the connection in the middle of its answer", async () => {
    answer = (_, response) => {
      response.writeHead(200, { "content-length": "100" }).write("[", () => response.destroy());
    };
    await expect(hasty.list()).rejects.toMatchObject({ code: "engine-unreachable" });
  });

  test("has no socket", async () => {
    const absent = engineAt(join(dir, "absent"));
    await expect(absent.list()).rejects.toMatchObject({
      code: "engine-unreachable",
      facts: { gone: true },
      message: expect.stringMatching(/absent: there is no such socket; start the engine/),
    });
  });

  test("left its socket behind", async () => {
    const left = join(dir, "left");
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(left, resolve));
    // Renamed, or closing would remove it.
    await rename(left, `${left}2`);
    await new Promise((resolve) => other.close(resolve));
    const refused = engineAt(`${left}2`);
    await expect(refused.list()).rejects.toMatchObject({ facts: { gone: true } });
  });

  test("close ends the calls under way", async () => {
    answer = () => {};
    const listing = engineAt(join(dir, "sock"));
    const call = listing.list();
    listing.close();
    await expect(call).rejects.toMatchObject({ code: "engine-unreachable" });
  });
});

test("DOCKER_* in the environment changes neither the socket nor its limits", async () => {
  vi.stubEnv("DOCKER_HOST", "tcp://192.0.2.1:2376");
  vi.stubEnv("DOCKER_TLS_VERIFY", "1");
  vi.stubEnv("DOCKER_CLIENT_TIMEOUT", "1");
  answer = json([]);
  expect(await engineAt(join(dir, "sock")).list()).toEqual([]);
});

describe("events", () => {
  let stream: ServerResponse;
  let pings: number;
  const hints: EngineEvent[] = [];
  const faults: Error[] = [];
  const line = (id: string) =>
    `${JSON.stringify({ Type: "container", Action: "start", Actor: { ID: id } })}\n`;

  beforeEach(() => {
    hints.length = faults.length = 0;
    pings = 0;
    answer = (request, response) => {
      if (request.url?.startsWith("/_ping")) {
        pings += 1;
        response.end("OK");
        return;
      }
      // Which kind it is nobody knows, so no stream of its is taken up again.
      if (request.url?.startsWith("/version")) {
        json({ message: "no" }, 404)(request, response);
        return;
      }
      stream = response;
      response.writeHead(200).flushHeaders();
    };
  });
  const looked = (id: string | undefined) => ({ kind: "look", id });
  const watch = (watched = engine) =>
    watched.watchEvents(
      (event) => hints.push(event),
      (fault) => faults.push(fault),
    );

  test("containers and networks are asked for; several events in a chunk, one across chunks", async () => {
    const opened = await watch();
    expect(decodeURIComponent(stream.req.url ?? "")).toContain('{"type":["container","network"]}');
    const all = line("a") + line("b") + line("ç");
    stream.write(all.slice(0, 90));
    stream.write(Buffer.from(all.slice(90)).subarray(0, -5));
    stream.write(Buffer.from(all).subarray(-5));
    await vi.waitFor(() => expect(hints).toEqual(["a", "b", "ç"].map(looked)));
    opened.close();
  });

  test("its end, however it comes, is told once", async () => {
    await watch();
    stream.destroy();
    await vi.waitFor(() => expect(faults).toHaveLength(1));
    expect(faults[0]).toMatchObject({ code: "engine-unreachable", facts: { gone: true } });
    await watch();
    stream.end();
    await vi.waitFor(() => expect(faults).toHaveLength(2));
  });

  test("a quiet stream outlives every limit, and the engine is pinged meanwhile", async () => {
    const opened = await watch(engineAt(join(dir, "sock"), { callMs: 500, quietMs: 25 }));
    await vi.waitFor(() => expect(pings).toBeGreaterThan(20), { timeout: 20_000 });
    expect([hints, faults]).toEqual([[], []]);
    opened.close();
  });

  test("a ping without answer is a hint, and the stream stays", async () => {
    const opened = await watch(hasty);
    answer = () => {};
    await vi.waitFor(() => expect(hints).toContainEqual(looked(undefined)));
    expect(faults).toEqual([]);
    opened.close();
  });

  test("close is no fault, and ends the pings", async () => {
    const opened = await watch();
    const ended = new Promise((resolve) => stream.on("close", resolve));
    opened.close();
    await ended;
    expect(faults).toEqual([]);
  });

  test("an engine that never takes the subscription is a fault", async () => {
    answer = () => {};
    await expect(watch(hasty)).rejects.toMatchObject({ code: "engine-unreachable", facts: { gone: false } });
  });
});
