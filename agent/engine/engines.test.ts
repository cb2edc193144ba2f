import { describe, expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import { containerOf, portOf } from "../testing/builders.ts";
import { gone, silent } from "../testing/fake-engine.ts";
import type { KnownEngine } from "./engine-standing.ts";
import { afterFault, afterRead, afterReconnect, type EngineView, firstView } from "./engine-view.ts";
import { joinEngines, msToNextChange } from "./engines.ts";
import type { ContainerFacts } from "./facts.ts";

const graceMs = 60_000;
const docker = { kind: "docker", version: "20.10", rootless: false, liveRestore: false } as const;
const podman = { ...docker, kind: "podman" } as const;

function readView(at: number, containers: ContainerFacts[], about: typeof docker | typeof podman = docker) {
  return afterRead({ containers, problems: [], draining: [] }, at, about);
}
function engineOf(label: string, view: EngineView): KnownEngine {
  return { label, view, site: { addresses: ["10.0.0.5" as Address], local: false }, isNear: true };
}
/** Each container as `engine/name`, with what else is said. */
function said(now: number, ...engines: KnownEngine[]) {
  const joined = joinEngines(engines, now, graceMs, 0);
  if (joined === undefined) return undefined;
  const containers = joined.containers.map(
    ({ container, engine, fixedOnly }) => `${engine}/${container.name}${fixedOnly ? " fixed" : ""}`,
  );
  return { containers, problems: joined.problems.map(({ container, message }) => `${container}|${message}`) };
}
const web = containerOf("web");
const fixed = containerOf("db", { ports: [portOf(5432, { fixed: true })] });

describe("one engine", () => {
  const cases: [string, number, EngineView, ReturnType<typeof said>][] = [
    ["not read yet: nothing is said", 59_999, firstView(0), undefined],
    [
      "not read for the whole grace: none, and why",
      60_000,
      afterFault(firstView(0), silent(), false),
      {
        containers: [],
        problems: [
          "|the container engine was not read for 60 s, so its containers are not declared: no answer within 10 s",
        ],
      },
    ],
    ["read", 5, readView(0, [web]), { containers: ["/web"], problems: [] }],
    ["read and found empty", 5, readView(0, []), { containers: [], problems: [] }],
    [
      "silent, within the grace: as before",
      59_999,
      afterFault(readView(0, [web]), silent(), false),
      { containers: ["/web"], problems: [] },
    ],
    [
      "gone: its containers are dying, and only fixed ports may stay",
      5,
      afterFault(readView(0, [web]), gone(), true),
      {
        containers: ["/web fixed"],
        problems: [
          "|the container engine has ended, so ports that it chose itself are not declared: no engine",
        ],
      },
    ],
    [
      "gone, with nothing but fixed ports: no problem",
      5,
      afterFault(readView(0, [fixed]), gone(), true),
      { containers: ["/db fixed"], problems: [] },
    ],
    [
      "Podman's service gone: its containers live on",
      59_999,
      afterFault(readView(0, [web], podman), gone(), true),
      { containers: ["/web"], problems: [] },
    ],
    [
      "back, and not read since: nothing is said, however long",
      59_999,
      afterReconnect(afterFault(readView(0, [web]), gone(), true), 10),
      undefined,
    ],
  ];
  test.each(cases)("%s", (_, now, view, expected) => {
    expect(said(now, engineOf("docker", view))).toEqual(expected);
  });
});

describe("several engines", () => {
  const one = engineOf("one", readView(0, [web]));
  const why = "so its containers are not declared";

  test("all read: all of their containers, each with its engine's name", () => {
    expect(said(5, one, engineOf("two", readView(0, [fixed])))).toEqual({
      containers: ["one/web", "two/db"],
      problems: [],
    });
  });

  test("one that has not answered yet is waited for, 5 s from the start", () => {
    const two = engineOf("two", firstView(0));
    expect(said(4_999, one, two)).toBeUndefined();
    expect(said(5_000, one, two)).toEqual({
      containers: ["one/web"],
      problems: [`|the container engine two was not read yet, ${why}`],
    });
  });

  test("one that is not there is not waited for", () => {
    const two = engineOf("two", afterFault(firstView(0), gone(), true));
    expect(said(5, one, two)?.containers).toEqual(["one/web"]);
  });

  test("one that was not there and is back is waited for again, for 5 s of its own", () => {
    const two = engineOf("two", afterReconnect(afterFault(readView(0, [fixed]), gone(), true), 20_000));
    expect(said(24_999, engineOf("one", readView(20_000, [web])), two)).toBeUndefined();
    expect(said(25_000, one, two)).toEqual({
      containers: ["one/web"],
      problems: [`|the container engine two was not read since it came back, ${why}: no engine`],
    });
  });

  test("none that was ever read: nothing is said, not even an empty set", () => {
    const absent = afterFault(firstView(0), gone(), true);
    expect(said(30_000, engineOf("one", absent), engineOf("two", absent))).toBeUndefined();
    expect(said(60_000, engineOf("one", absent), engineOf("two", absent))?.containers).toEqual([]);
  });

  test("each has its own grace", () => {
    const late = engineOf("one", readView(50_000, [web]));
    expect(said(60_000, late, engineOf("two", readView(0, [fixed])))?.containers).toEqual(["one/web"]);
  });

  test("one that has ended loses its ephemeral ports alone", () => {
    const two = engineOf("two", afterFault(readView(0, [containerOf("api")]), gone(), true));
    expect(said(5, one, two)?.containers).toEqual(["one/web", "two/api fixed"]);
  });

  test("a container that two report counts once, as the first one's, with one problem for all", () => {
    const again = engineOf("two", readView(0, [web, fixed]));
    const both = engineOf("one", readView(0, [web, fixed]));
    const found = said(5, both, again);
    expect(found?.containers).toEqual(["one/web", "one/db"]);
    expect(found?.problems).toHaveLength(1);
    expect(found?.problems[0]).toMatch(/^\|the engines one and two both report 2 containers/);
  });

  test("problems of later engines' containers name the engine", () => {
    const problems = [{ container: "web", code: "unreadable", message: "it cannot be inspected" }];
    const view = afterRead({ containers: [], problems, draining: [] }, 0, docker);
    expect(said(5, engineOf("one", view), engineOf("two", view))?.problems).toEqual([
      "web|it cannot be inspected",
      "web|on the engine two: it cannot be inspected",
    ]);
  });
});

describe("an engine whose own address is not known", () => {
  const lost = (view: EngineView): KnownEngine => ({
    ...{ ...engineOf("two", view), site: undefined },
    siteFault: "no such host",
  });
  const why = "is at no address that is known yet, so its containers are not declared: no such host";

  test("alone is waited for as one that was not read, and past the grace has none, and why", () => {
    const at = (now: number) => said(now, lost(readView(now, [web])));
    expect(at(59_999)).toBeUndefined();
    expect(at(60_000)).toEqual({ containers: [], problems: [`|the container engine ${why}`] });
  });

  test("holds the others up for 5 s, and they keep the names they have beside it", () => {
    const one = engineOf("one", readView(0, [web]));
    expect(said(4_999, one, lost(readView(0, [fixed])))).toBeUndefined();
    expect(said(5_000, one, lost(readView(0, [fixed])))).toEqual({
      containers: ["one/web"],
      problems: [`|the container engine two ${why}`],
    });
  });

  test("is asked about again at the end of the patience and of the grace", () => {
    const at = (now: number) => msToNextChange([lost(readView(now, []))], now, graceMs, 0);
    expect(at(1_000)).toBe(4_000);
    expect(at(5_000)).toBe(55_000);
    expect(at(60_000)).toBe(60_000);
  });
});

test("no engines at all say that there are no containers", () => {
  expect(said(0)).toEqual({ containers: [], problems: [] });
});

describe("when to ask again", () => {
  const at = (now: number, ...views: EngineView[]) =>
    msToNextChange(
      views.map((view) => engineOf("x", view)),
      now,
      graceMs,
      0,
    );

  test("at the end of the first patience, of a later one, of each grace, and never after", () => {
    expect(at(0, firstView(0))).toBe(5_000);
    expect(at(5_000, firstView(0))).toBe(55_000);
    expect(at(60_000, firstView(0))).toBe(Infinity);
    expect(at(10, readView(0, []))).toBe(59_990);
    expect(at(10, readView(0, []), afterReconnect(readView(0, []), 8))).toBe(4_998);
  });
});
