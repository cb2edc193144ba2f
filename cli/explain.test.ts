import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { AgentConfig } from "../agent/config.ts";
import { createStatusServer, type StatusServer } from "../agent/status/status-server.ts";
import { statusWith } from "../agent/testing/agent-status.ts";
import { RecordedLog } from "../agent/testing/recorded-log.ts";
import { explainCommandWith } from "./explain.ts";
import { type CapturedOutput, captureOutput } from "./testing/captured-output.ts";

let asked: string[];
let server: StatusServer;
let output: CapturedOutput;

beforeEach(async () => {
  asked = [];
  const explain = (what: string) => {
    asked.push(what);
    return what === "web" || what === "日 &?" ? ["web runs", "", "  its label wins"] : undefined;
  };
  const source = { status: () => statusWith(), explain };
  const listen = { host: "127.0.0.1", port: 0 };
  server = await createStatusServer({ listen, source, log: new RecordedLog() });
  output = captureOutput();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await server.close();
});

function at(): string[] {
  return ["--status", `127.0.0.1:${server.address?.port ?? expect.fail("it does not listen")}`];
}

const unexpected = () => expect.fail("the engine was read although an agent answers");

describe("berth explain", () => {
  test.each(["web", "日 &?"])("prints what the running agent knows of %s", async (what) => {
    expect(await explainCommandWith(unexpected).run([what, ...at()])).toBe(0);
    expect(asked).toEqual([what]);
    expect(output.stdout).toBe("web runs\n\n  its label wins\n");
    expect(output.stderr).toBe("");
  });

  test("exits with 1 when the agent knows of nothing by that name, without asking the engine", async () => {
    expect(await explainCommandWith(unexpected).run(["db\u001b[2J", ...at()])).toBe(1);
    expect(output.stdout).toBe("");
    expect(output.stderr).toBe(
      'berth: no container that runs, no service and no name "db [2J" is on this host; docker ps --all lists the containers\n',
    );
  });

  test("reads the engine here where no agent answers, with the agent's flags, and says so", async () => {
    const where = at();
    await server.close();
    const configs: AgentConfig[] = [];
    const command = explainCommandWith(async (config, what) => {
      configs.push(config);
      return [`${what} runs\u001b[2J`];
    });
    expect(await command.run(["web", ...where, "--host-label", "pi"])).toBe(0);
    expect(output.stdout).toBe("web runs [2J\n");
    expect(output.stderr).toMatch(/^berth: no agent answers at .*; the engine is read here instead, once/);
    expect(configs).toMatchObject([{ hostLabel: "pi", withdraw: false }]);
  });

  test("reads the engine here without a word where status is off", async () => {
    const command = explainCommandWith(async () => undefined);
    expect(await command.run(["web", "--status", "off"])).toBe(1);
    expect(output.stderr).toMatch(/^berth: no container that runs/);
  });

  test("wants one thing to explain", async () => {
    const command = explainCommandWith(unexpected);
    await expect(command.run([])).rejects.toThrow("give one container, service or name, not nothing");
    await expect(command.run(["a", "b"])).rejects.toThrow("not a b");
    await expect(command.run(["a", "--withdraw"])).rejects.toThrow("--withdraw");
  });
});
