import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { AgentStatus } from "../agent/status/agent-status.ts";
import { createStatusServer, type StatusServer } from "../agent/status/status-server.ts";
import { engineWith, resolverWith, statusWith } from "../agent/testing/agent-status.ts";
import { RecordedLog } from "../agent/testing/recorded-log.ts";
import { formatEndpoint } from "../shared/address.ts";
import { statusCommand } from "./status.ts";
import { type CapturedOutput, captureOutput } from "./testing/captured-output.ts";

let status: AgentStatus;
let server: StatusServer;
let output: CapturedOutput;

beforeEach(async () => {
  const source = { status: () => status, explain: () => undefined };
  server = await createStatusServer({
    listen: { host: "127.0.0.1", port: 0 },
    source,
    log: new RecordedLog(),
  });
  status = statusWith();
  output = captureOutput();
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await server.close();
});

function at(): string {
  const { host, port } = server.address ?? expect.fail("it does not listen");
  return formatEndpoint({ address: host, port });
}

describe("berth status", () => {
  test("prints the status of the agent at its address", async () => {
    expect(await statusCommand.run(["--status", at()])).toBe(0);
    expect(output.stdout).toMatch(/^HOST +nas\nid +a+\n/);
    expect(output.stderr).toBe("");
  });

  test("takes the address from the environment, as the agent does", async () => {
    vi.stubEnv("BERTH_STATUS", at());
    expect(await statusCommand.run([])).toBe(0);
  });

  test("prints the whole as JSON", async () => {
    expect(await statusCommand.run(["--json", "--status", at()])).toBe(0);
    expect(JSON.parse(output.stdout)).toEqual(status);
  });

  test.each<[string, Partial<AgentStatus>, RegExp]>([
    [
      "an engine is down",
      { engines: [engineWith(), engineWith({ label: "podman", up: false, fault: "gone" })] },
      /^berth: engine podman is down: gone\n$/,
    ],
    [
      "the lease has lapsed",
      { resolver: resolverWith({ leaseRemaining: 0, fault: "refused" }) },
      /^berth: the lease at https:\/\/resolver\.example has lapsed: refused\n$/,
    ],
    [
      "the host does not know its addresses",
      { addressFault: "no route" },
      /^berth: this host's addresses cannot be told: no route\n$/,
    ],
    [
      "an engine's address cannot be told",
      { engines: [engineWith({ label: "nas", addressFault: "no such host" })] },
      /^berth: the addresses of the engine nas cannot be told: no such host\n$/,
    ],
    [
      "nothing is at any address yet",
      { addresses: [] },
      /^berth: nothing is declared at any address of this/,
    ],
    [
      "there is no lease yet",
      { resolver: { ...resolverWith(), leaseRemaining: undefined } },
      /granted no lease yet\n$/,
    ],
  ])("exits with 1 when %s, and says why on stderr", async (_, given, words) => {
    status = statusWith(given);
    expect(await statusCommand.run(["--status", at()])).toBe(1);
    expect(output.stderr).toMatch(words);
    expect(output.stdout).toMatch(/^HOST /);
    expect(await statusCommand.run(["--json", "--status", at()])).toBe(1);
  });

  test("what an engine says cannot start a line on stderr either", async () => {
    status = statusWith({ engines: [engineWith({ up: false, fault: "x\nberth: all is well\u001b[2J" })] });
    await statusCommand.run(["--status", at()]);
    expect(output.stderr).toBe("berth: engine docker is down: x berth: all is well [2J\n");
  });

  test("exits with 0 over problems of single containers, and while a resolver fails within the lease", async () => {
    const problems = [{ container: "web", code: "bad-label", message: "m" }];
    status = statusWith({ problems, resolver: resolverWith({ up: false, fault: "refused" }) });
    expect(await statusCommand.run(["--status", at()])).toBe(0);
  });

  test("where no agent answers says how to start one", async () => {
    const where = at();
    await server.close();
    await expect(statusCommand.run(["--status", where])).rejects.toMatchObject({
      code: "no-agent",
      retryable: true,
      message: expect.stringMatching(/^no agent answers at 127\.0\.0\.1:\d+; start it with berth agent/),
    });
  });

  test("where status is off says so", async () => {
    await expect(statusCommand.run(["--status", "off"])).rejects.toThrow(/the agent's status is off/);
  });
});
