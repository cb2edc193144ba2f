import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { AgentStand } from "./testing/agent-stand.ts";
import { FakeEngine, silent } from "./testing/fake-engine.ts";

// Why something is not declared is asked most when an engine, and not a label, is the reason.

let stand: AgentStand;
let id: string;
beforeEach(() => {
  stand = new AgentStand();
  id = stand.engine.put("web", at("32768"));
});
afterEach(() => stand.end());

const compose = { "com.docker.compose.project": "shop", "com.docker.compose.service": "web" };
const at = (port: string) => ({
  ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: port }] },
  labels: compose,
});
const explained = (what: string) => stand.reconciler.explain(what)?.join("\n");

test("before the engine was read: that it was not, whatever is asked for", async () => {
  stand.engine.watchFault = silent();
  stand.start();
  await stand.clock.advance(1_000);
  expect(stand.reconciler.explain("web")).toEqual([
    "nothing that could be read is called web, and not everything could be read:",
    "problem engine-unreachable: the container engine was not read yet, and is waited for: no answer within 10 s",
    "problem not-declared: this agent has declared nothing yet",
  ]);
});

test.each(["web", "web.shop"])("past the grace, %s is what was read last, and why it left", async (what) => {
  stand.start();
  await stand.clock.advance(2_000);
  stand.engine.listFault = silent();
  await stand.clock.advance(100_000);
  expect(stand.declared?.bindings).toEqual([]);
  expect(explained(what)).toContain("container web (web000000000)");
  const why = "the container engine was not read for 60 s: no answer within 10 s";
  expect(explained(what)).toContain(`  nothing of it is declared: ${why}`);
  expect(explained(what)).not.toContain("leads to");
  expect(explained("nowhere")).toContain(why);
  stand.engine.listFault = undefined;
  await stand.clock.advance(60_000);
  expect(explained(what)).toContain("port 80/tcp leads to 10.0.0.5:32768");
  expect(explained("nowhere")).toBeUndefined();
});

test("a container that cannot be inspected is told so, by its name and to whoever asks for what is not found", async () => {
  stand.engine.inspectFaults.set(id, new Error("input/output error"));
  stand.engine.put("db", at("32769"));
  stand.start();
  await stand.clock.advance(2_000);
  const why = "problem unreadable of web: it cannot be inspected: input/output error; see docker inspect web";
  expect(stand.reconciler.explain("/web")).toEqual([why]);
  expect(explained("nowhere")).toContain(why);
  expect(explained("db")).not.toContain("unreadable");
});

test("of many that cannot be read ten are told, and how many more there are", async () => {
  for (let count = 0; count < 13; count++)
    stand.engine.inspectFaults.set(stand.engine.put(`bad${count}x`), new Error("input/output error"));
  stand.start();
  await stand.clock.advance(2_000);
  const lines = stand.reconciler.explain("nowhere");
  expect(lines).toHaveLength(12);
  expect(lines?.at(-1)).toBe(
    "3 more problems are left out here; give the name of a container or a file to see its own",
  );
});

test("what could not be read of files of services is told to whoever asks for what is not found", async () => {
  const message = "line 3: not TOML";
  stand.services.problems = [{ container: "db.toml", code: "bad-service-file", message }];
  stand.start();
  await stand.clock.advance(2_000);
  const why = "problem bad-service-file of db.toml: line 3: not TOML";
  expect(explained("db")).toContain(why);
  expect(stand.reconciler.explain("db.toml")).toEqual([why]);
  expect(explained("web")).not.toContain(why);
});

test("where the host's own address is not known, what was read is explained, and not as declared", async () => {
  stand.addresses = async () => Promise.reject(new Error("no route"));
  stand.start();
  await stand.clock.advance(2_000);
  expect(explained("web.shop")).toMatch(/nothing of it is declared: .* is at no address .*: no route/);
});

test("of an engine that was read, nothing is claimed while another one is waited for", async () => {
  const second = new FakeEngine();
  second.put("other", at("32769"));
  const release = second.holdLists();
  stand.engines = [...stand.engines, { label: "podman", engine: second, readSite: undefined, isHere: true }];
  stand.start();
  await stand.clock.advance(1_000);
  expect(explained("web")).toContain("nothing of it is declared: this agent has declared nothing yet");
  expect(explained("web")).toContain("the container engine podman was not read yet, and is waited for");
  release();
  await stand.clock.advance(2_000);
  expect(explained("web.shop")).toContain("port 80/tcp leads to");
});

test("what one engine has told while another one that came back is waited for, is known and not declared", async () => {
  const second = new FakeEngine();
  stand.engines = [...stand.engines, { label: "podman", engine: second, readSite: undefined, isHere: true }];
  stand.start();
  await stand.clock.advance(2_000);
  second.die();
  await stand.clock.advance(1_000);
  second.revive();
  const release = second.holdLists();
  await vi.waitFor(async () => {
    await stand.clock.advance(100);
    if (!second.isWatched) throw new Error("not yet");
  });
  stand.engine.event(stand.engine.put("newer", at("32770")));
  await stand.clock.advance(500);
  expect(explained("newer")).toContain(
    "nothing of it is declared: this agent has declared nothing of it yet",
  );
  expect(explained("web")).toContain("port 80/tcp leads to");
  release();
  await stand.clock.advance(2_000);
  expect(explained("newer")).toContain("port 80/tcp leads to");
});

test.each([
  [{ Paused: true }, "is paused"],
  [{ Restarting: true }, "is between two restarts"],
])("a container that is %j is told so", async (state, words) => {
  stand.engine.put("web", { ...at("32768"), state });
  stand.start();
  await stand.clock.advance(2_000);
  expect(explained("web.shop")).toContain(`  ${words}`);
  expect(explained("web")).toContain(`nothing of it is declared: it ${words}`);
});
