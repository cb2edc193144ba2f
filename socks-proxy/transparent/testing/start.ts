import { createConnector } from "../../../client/connect/connector.ts";
import { DeadEndpoints } from "../../../client/connect/dead-endpoints.ts";
import { createLog, type Log } from "../../../shared/log.ts";
import { Counts } from "../../counts.ts";
import { Admission } from "../../limits.ts";
import { createLineLimit } from "../../line-limit.ts";
import type { TransparentContext } from "../tcp-clients.ts";
import { type RunningTransparent, startTransparent, type TransparentConfig } from "../transparent.ts";
import { FakeStub } from "./fake-stub.ts";

/** A transparent mode that runs for a test, on addresses of its own. */
export interface TestTransparent extends RunningTransparent {
  stub: FakeStub;
  lines: string[];
}

/** Parts of 127.64.0.0/10 that no two tests use at the same time. */
let lastPart = (process.pid * 7) % 200;

function nextRange(): { transparentRange: string; dnsListen: { host: string; port: number } } {
  lastPart = (lastPart + 1) % 250;
  const base = `127.${64 + (process.pid % 60)}.${lastPart}`;
  return { transparentRange: `${base}.0/24`, dnsListen: { host: `${base}.1`, port: 0 } };
}

export async function startForTest(
  given: Partial<TransparentConfig> = {},
  stub = new FakeStub(),
): Promise<TestTransparent> {
  const lines: string[] = [];
  const log = createLog("transparent", "debug", (line) => lines.push(line));
  const running = await startTransparent({ ...standardConfig(), ...given }, contextFor(stub, log));
  return { ...running, stub, lines };
}

export function contextFor(stub: FakeStub, log: Log): TransparentContext {
  const now = () => performance.now();
  const limits = { connectMs: 5_000, resolveMs: 5_000, patienceMs: 5_000 };
  const never = createLineLimit(1_000, now);
  return {
    connector: createConnector(stub, limits, { now, random: Math.random }),
    stub,
    policy: { rules: [], outside: "allow" },
    admission: new Admission({ connections: 8192, connectionsPerClient: 2048 }),
    times: { handshake: 10_000, resolve: 5_000, idle: 60_000 },
    counts: new Counts(),
    log,
    lineLimits: { turnedAway: never, refused: never, noToken: never },
    udp: { dead: new DeadEndpoints(), random: Math.random },
  };
}

function standardConfig(): TransparentConfig {
  return {
    ...nextRange(),
    transparentIpv6: "off",
    // Nobody answers there: no test asks a real server.
    upstreamDns: [{ host: "127.0.0.1", port: 9 }],
    stateDir: undefined,
    resolveTimeout: 5,
    restartPatience: 1,
    drainTimeout: 0,
  };
}
