import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { Address } from "../shared/address.ts";
import { BerthError } from "../shared/errors.ts";
import { AgentStand } from "./testing/agent-stand.ts";
import type { FakeClock } from "./testing/fake-clock.ts";
import { type FakeEngine, gone, silent } from "./testing/fake-engine.ts";
import type { FakeResolver } from "./testing/fake-resolver.ts";
import type { RecordedLog } from "./testing/recorded-log.ts";

let stand: AgentStand;
let clock: FakeClock;
let engine: FakeEngine;
let resolver: FakeResolver;
let log: RecordedLog;

beforeEach(() => {
  stand = new AgentStand();
  ({ clock, engine, resolver, log } = stand);
});
afterEach(() => stand.end());

function start(): void {
  stand.start();
}

const ephemeral = (port: string) => ({ ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: port }] } });
const fixed = (port: string) => ({
  ...ephemeral(port),
  asked: { "80/tcp": [{ HostIp: "", HostPort: port }] },
});
const pushes = () => resolver.requests.filter(({ kind }) => kind === "push");
const lastProblems = () =>
  pushes()
    .at(-1)
    ?.declared?.problems.map(({ container, code }) => `${container} ${code}`);

describe("events are hints", () => {
  test("an event leads to a push at once", async () => {
    start();
    await clock.advance(2_000);
    engine.event(engine.put("web", ephemeral("32768")));
    await clock.advance(0);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32768"]);
  });

  test("dropped: the resync finds what happened", async () => {
    engine.put("web", ephemeral("32768"));
    start();
    await clock.advance(2_000);
    engine.put("web", ephemeral("32769"));
    await clock.advance(30_000);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32769"]);
  });

  test("what happens while Docker takes the subscription is found within a second", async () => {
    start();
    await clock.advance(100);
    engine.put("web", ephemeral("32768"));
    await clock.advance(1_000);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32768"]);
  });

  test("duplicated and in any order: one push for what is true in the end", async () => {
    start();
    await clock.advance(2_000);
    const before = pushes().length;
    const id = engine.put("web", ephemeral("32769"));
    for (const hinted of [id, undefined, "unknown", id, id]) engine.event(hinted);
    await clock.advance(1_000);
    expect(pushes()).toHaveLength(before + 1);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32769"]);
  });

  test("a burst merges: the first hint runs at once, the rest 50 ms after that pass", async () => {
    start();
    await clock.advance(2_000);
    const before = engine.lists;
    engine.event();
    await clock.advance(0);
    expect(engine.lists).toBe(before + 1);
    for (let count = 0; count < 40; count++) {
      engine.event();
      await clock.advance(1);
    }
    expect(engine.lists).toBe(before + 1);
    await clock.advance(10);
    expect(engine.lists).toBe(before + 2);
  });

  test("only what is new, hinted or changed in the list is inspected", async () => {
    const web = engine.put("web");
    const api = engine.put("api");
    start();
    await clock.advance(2_000);
    engine.inspected.length = 0;
    engine.event(web);
    await clock.advance(100);
    expect(engine.inspected).toEqual([web]);
    engine.put("api");
    engine.event();
    await clock.advance(100);
    expect(engine.inspected).toEqual([web, api]);
    await clock.advance(60_000);
    expect(engine.inspected).toEqual([web, api]);
  });

  test("a hinted container is inspected although its list entry is the same", async () => {
    engine.put("web", ephemeral("32768"));
    start();
    await clock.advance(2_000);
    engine.event(engine.putUnlisted("web", ephemeral("32769")));
    await clock.advance(0);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32769"]);
  });

  test("a hint met by a failing pass is not lost", async () => {
    engine.put("web", ephemeral("32768"));
    start();
    await clock.advance(2_000);
    engine.listFault = silent();
    engine.event(engine.putUnlisted("web", ephemeral("32769")));
    await clock.advance(100);
    engine.listFault = undefined;
    await clock.advance(1_000);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32769"]);
  });

  test("a container that goes away is withdrawn, and an empty engine is an empty set", async () => {
    const id = engine.put("web");
    start();
    await clock.advance(2_000);
    engine.remove(id);
    engine.event(id);
    await clock.advance(0);
    expect(resolver.declaredPorts).toEqual([]);
    expect(lastProblems()).toEqual([]);
  });
});

test("a container that goes away between the list and its inspection is no problem", async () => {
  engine.put("web", ephemeral("32768"));
  engine.vanish(engine.put("gone"));
  start();
  await clock.advance(100);
  expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32768"]);
  expect(lastProblems()).toEqual([]);
});

describe("one bad container", () => {
  test("that cannot be inspected is a problem; the others are declared", async () => {
    engine.put("web", ephemeral("32768"));
    engine.inspectFaults.set(engine.put("bad"), new BerthError("engine-fault", "HTTP 500"));
    start();
    await clock.advance(100);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32768"]);
    expect(lastProblems()).toEqual(["bad unreadable"]);
  });

  test("keeps its bindings while the list vouches for them, and loses them when its entry changes", async () => {
    const id = engine.put("web", ephemeral("32768"));
    start();
    await clock.advance(2_000);
    engine.inspectFaults.set(id, silent());
    engine.event(id);
    await clock.advance(100);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32768"]);
    engine.put("web", ephemeral("32769"));
    engine.event();
    await clock.advance(100);
    expect(resolver.declaredPorts).toEqual([]);
    expect(lastProblems()).toEqual(["web unreadable"]);
  });

  test("is asked again later, not at every pass", async () => {
    const id = engine.put("bad");
    engine.inspectFaults.set(id, silent());
    start();
    await clock.advance(2_000);
    engine.event();
    await clock.advance(100);
    expect(engine.inspected).toEqual([id]);
    engine.inspectFaults.clear();
    await clock.advance(60_000);
    expect(resolver.declaredPorts).toEqual(["bad.berth.internal. 32768"]);
  });

  test("described as no container is, is a problem", async () => {
    engine.put("bad", { state: { Running: "yes" } });
    engine.put("web", ephemeral("32768"));
    start();
    await clock.advance(100);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32768"]);
    expect(lastProblems()).toEqual(["bad unreadable"]);
  });

  test("but when none of several answers, it is the engine that hangs", async () => {
    const ids = ["aa", "bb"].map((name) => engine.put(name));
    start();
    await clock.advance(2_000);
    for (const id of ids) {
      engine.inspectFaults.set(id, silent());
      engine.event(id);
    }
    await clock.advance(1_000);
    expect(pushes()).toHaveLength(1);
    expect(log.matching(/^warn/)).toEqual(["warn no answer within 10 s"]);
  });
});

describe("no engine", () => {
  test("at the start: nothing is said, not even an empty set, until the grace is over", async () => {
    engine.watchFault = gone();
    start();
    await clock.advance(59_000);
    expect(resolver.requests).toEqual([]);
    await clock.advance(1_000);
    expect(resolver.declaredPorts).toEqual([]);
    expect(lastProblems()).toEqual([" engine-unreachable"]);
  });

  test("one warning, one line when it is back, nothing in between", async () => {
    engine.watchFault = gone();
    start();
    await clock.advance(30_000);
    engine.watchFault = undefined;
    await clock.advance(11_000);
    expect(log.matching(/engine/)).toEqual([
      "warn no engine",
      "info the engine at unix:///fake.sock answers again",
    ]);
  });

  test("silent: the last good set is renewed for the grace, then leaves, and comes back", async () => {
    engine.put("web", fixed("8080"));
    start();
    await clock.advance(2_000);
    engine.listFault = silent();
    await clock.advance(58_000);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 8080"]);
    await clock.advance(2_000);
    expect(resolver.declaredPorts).toEqual([]);
    expect(lastProblems()).toEqual([" engine-unreachable"]);
    engine.listFault = undefined;
    await clock.advance(11_000);
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 8080"]);
    expect(lastProblems()).toEqual([]);
  });

  test("a list that never answers does not hold the grace up", async () => {
    engine.put("web", fixed("8080"));
    start();
    await clock.advance(2_000);
    const release = engine.holdLists();
    await clock.advance(60_000);
    expect(resolver.declaredPorts).toEqual([]);
    release();
  });

  test("a quiet, healthy engine never grows too old", async () => {
    engine.put("web", fixed("8080"));
    start();
    await clock.advance(600_000);
    expect(pushes()).toHaveLength(1);
  });
});

describe("the event stream breaks", () => {
  test("without live-restore: ephemeral ports go at once, fixed ones keep the grace", async () => {
    engine.put("one", ephemeral("32768"));
    engine.put("two", fixed("8080"));
    start();
    await clock.advance(2_000);
    engine.die();
    await clock.advance(0);
    expect(resolver.declaredPorts).toEqual(["two.berth.internal. 8080"]);
    expect(lastProblems()).toEqual([" engine-unreachable"]);
    await clock.advance(60_000);
    expect(resolver.declaredPorts).toEqual([]);
  });

  test("with live-restore: everything keeps the grace, and nothing is pushed", async () => {
    engine.restores = true;
    engine.put("one", ephemeral("32768"));
    start();
    await clock.advance(2_000);
    engine.die();
    await clock.advance(30_000);
    expect(pushes()).toHaveLength(1);
    expect(resolver.last?.kind).toBe("renew");
  });

  test("also while a list hangs", async () => {
    engine.put("one", ephemeral("32768"));
    start();
    await clock.advance(2_000);
    const release = engine.holdLists();
    engine.event();
    await clock.advance(10);
    engine.die();
    await clock.advance(0);
    expect(resolver.declaredPorts).toEqual([]);
    release();
    await clock.advance(10);
    expect(resolver.declaredPorts).toEqual([]);
  });

  test("a list from before the break says nothing after it", async () => {
    engine.put("one", ephemeral("32768"));
    start();
    await clock.advance(2_000);
    const release = engine.holdLists();
    engine.event();
    await clock.advance(10);
    engine.die();
    engine.revive();
    release();
    await clock.advance(0);
    expect(resolver.declaredPorts).toEqual([]);
  });

  test("after a reconnect nothing old is renewed before the first good list", async () => {
    engine.put("two", fixed("8080"));
    start();
    await clock.advance(2_000);
    engine.die();
    engine.watchFault = undefined;
    await clock.advance(1_000);
    expect(engine.isWatched).toBe(true);
    const before = resolver.requests.length;
    await clock.advance(20_000);
    expect(resolver.requests).toHaveLength(before);
    engine.revive();
    await clock.advance(11_000);
    expect(resolver.last?.kind).toBe("renew");
  });

  test("after a reconnect every container is inspected again: ports moved between them", async () => {
    engine.put("one", ephemeral("32768"));
    engine.put("two", ephemeral("32769"));
    start();
    await clock.advance(2_000);
    engine.die();
    engine.putUnlisted("one", ephemeral("32769"));
    engine.putUnlisted("two", ephemeral("32768"));
    engine.revive();
    await clock.advance(1_000);
    expect(resolver.declaredPorts).toEqual(["one.berth.internal. 32769", "two.berth.internal. 32768"]);
  });

  test("a silent engine that is found gone on another call is gone too", async () => {
    engine.put("one", ephemeral("32768"));
    start();
    await clock.advance(2_000);
    engine.listFault = gone();
    engine.event();
    await clock.advance(0);
    expect(resolver.declaredPorts).toEqual([]);
  });
});

describe("addresses", () => {
  test("new ones, by DHCP, are pushed at the next resync", async () => {
    engine.put("web");
    start();
    await clock.advance(2_000);
    stand.addresses = async () => ({ addresses: ["10.0.0.9" as Address], local: false });
    await clock.advance(28_000);
    expect(pushes().at(-1)?.declared?.addresses).toEqual(["10.0.0.9"]);
    expect(pushes()).toHaveLength(2);
  });

  test("none yet: one line, nothing pushed, tried again", async () => {
    const found = stand.addresses;
    stand.addresses = async () => {
      throw new BerthError("no-address", "name one with --advertise");
    };
    engine.put("web");
    start();
    await clock.advance(20_000);
    expect(resolver.requests).toEqual([]);
    expect(log.matching(/^warn/)).toEqual(["warn name one with --advertise"]);
    stand.addresses = found;
    await clock.advance(11_000);
    expect(pushes()).toHaveLength(1);
  });

  test("unreadable later: the last good ones stay", async () => {
    engine.put("web");
    start();
    await clock.advance(2_000);
    stand.addresses = async () => {
      throw new Error("DNS is down");
    };
    await clock.advance(40_000);
    expect(pushes()).toHaveLength(1);
    expect(resolver.last?.kind).toBe("renew");
  });
});

test("a problem is logged once, while it lasts", async () => {
  const id = engine.put("web", { labels: { "berth.nmae": "x" } });
  start();
  await clock.advance(100_000);
  engine.event(id);
  await clock.advance(1_000);
  expect(log.matching(/^warn web: berth knows no label berth.nmae/)).toHaveLength(1);
});

test("close sends nothing and lets go of the event stream", async () => {
  engine.put("web");
  start();
  await clock.advance(2_000);
  const before = resolver.requests.length;
  await stand.end();
  await clock.advance(60_000);
  expect(resolver.requests).toHaveLength(before);
  expect(engine.isWatched).toBe(false);
});
