import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";

import { FakeClock } from "../../agent/testing/fake-clock.ts";
import type { RR } from "../../shared/dns/message.ts";
import { createLog } from "../../shared/log.ts";
import { parseName } from "../../shared/name.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import type { Resolution } from "../answers/resolution.ts";
import { createStubResolver, type StubPorts, type StubSettings } from "../create-stub-resolver.ts";
import type { StubResolver } from "../stub-resolver.ts";
import { addressOf, startResolver, type TestResolver } from "./doh-server.ts";

/** A stub resolver with a real resolver behind it, in a time that only the test moves. All ends with the test. */
export interface StubBed {
  stub: StubResolver;
  resolver: TestResolver;
  clock: FakeClock;
  lines: string[];
  /** Names the system was asked for. */
  lookedUp: string[];
  /** A name at a service port, TCP unless said otherwise. */
  resolve(name: string, port: number, question?: Parameters<StubResolver["resolve"]>[1]): Promise<Resolution>;
}

export interface StubBedOptions {
  records?: RR[];
  /** What the resolver wants, and the token file holds. */
  token?: string;
  settings?: Partial<StubSettings>;
  /** Asks the resolver for its zones, instead of being told. */
  learnsZones?: boolean;
  ports?: Partial<StubPorts>;
}

export async function startStubBed(options: StubBedOptions = {}): Promise<StubBed> {
  const resolver = await startResolver(options.records);
  onTestFinished(() => resolver.close());
  return stubBedOf(resolver, options);
}

/** The same of a resolver that is there. */
export function stubBedOf(resolver: TestResolver, options: StubBedOptions = {}): StubBed {
  const { token, settings, ports, learnsZones = false } = options;
  const clock = new FakeClock();
  const lines: string[] = [];
  const lookedUp: string[] = [];
  const tokenFile = token === undefined ? {} : { tokenFile: fileWith(`${token}\n`) };
  const zone = learnsZones ? {} : { zone: [parseName("berth.internal")] };
  if (token !== undefined) resolver.token = token;
  const stub = createStubResolver(
    {
      resolver: [resolver.url],
      ...zone,
      resolveTimeoutMs: 5_000,
      ...tokenFile,
      ...settings,
    },
    {
      log: createLog("berth", "debug", (line) => lines.push(line)),
      now: () => clock.now(),
      after: (ms, run) => clock.after(ms, run),
      random: () => 0,
      lookup: async (name) => {
        lookedUp.push(name);
        return systemSays(name);
      },
      ...ports,
    },
  );
  onTestFinished(() => stub.close());
  return {
    stub,
    resolver,
    clock,
    lines,
    lookedUp,
    resolve: (name, port, question = {}) => stub.resolve({ kind: "name", name, port }, question),
  };
}

/** Resolves when `check` passes, which a machine with much to do may take its time for. */
export function soon(check: () => unknown): Promise<unknown> {
  return vi.waitFor(check, { timeout: 20_000, interval: 10 });
}

/** A file of its own, which goes with the test. */
export function fileWith(text: string, name = "reader.token"): string {
  const directory = makeTemporaryDir("berth-client-");
  onTestFinished(() => directory.remove());
  const file = join(directory.path, name);
  writeFileSync(file, text);
  return file;
}

function systemSays(name: string) {
  if (name === "two.example") return [addressOf("192.0.2.2"), addressOf("192.0.2.1")];
  if (name === "silent.example") return new Promise<never>(() => {});
  const code = name === "broken.example" ? "EAI_AGAIN" : "ENOTFOUND";
  throw Object.assign(new Error(`getaddrinfo ${code} ${name}`), { code });
}
