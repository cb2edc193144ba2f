import { expect, test } from "vitest";

import { type EngineEvent, eventFromLine, LineSplitter } from "./event-lines.ts";

function split(...chunks: string[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const chunk of chunks) splitter.take(chunk);
  return lines;
}

test("several lines in one chunk, one line in several, and blank ones", () => {
  expect(split("a\nb\n", "c", "c", "\nd\n\n", "unfinished")).toEqual(["a", "b", "cc", "d"]);
});

test("a line past all reason becomes an empty one, and the next is read again", () => {
  const half = "x".repeat(3 * 1024 * 1024);
  expect(split(half, half, half, "\nb\n")).toEqual(["", "b"]);
});

const event = (fields: Record<string, unknown>) => eventFromLine(JSON.stringify(fields));

test("a container event asks for a look at its container", () => {
  expect(event({ Type: "container", Action: "start", Actor: { ID: "7f5b" } })).toEqual(look("7f5b"));
});

test("probes change nothing, nor does what people do inside a container", () => {
  const Actor = { ID: "7f5b" };
  const actions = [
    "exec_create: CMD x",
    "exec_start: CMD x",
    "exec_die",
    "exec",
    "exec_died",
    "attach",
    "top",
  ];
  for (const Action of actions) expect(event({ Type: "container", Action, Actor }).kind).toBe("nothing");
});

/** By recorded shape: Docker 20.10's and Podman 4.3's own lines, cut to what counts. */
const recorded: [string, Record<string, unknown>, EngineEvent][] = [
  [
    "Docker: the network is the actor, the container an attribute",
    {
      Type: "network",
      Action: "connect",
      Actor: { ID: "e985", Attributes: { container: "7f5b", name: "bridge" } },
    },
    look("7f5b"),
  ],
  [
    "Podman: the container is the actor",
    { Type: "network", Action: "disconnect", Actor: { ID: "7f5b", Attributes: { name: "web" } } },
    look("7f5b"),
  ],
  [
    "a network made or removed is no container",
    { Type: "network", Action: "destroy", Actor: { ID: "e985", Attributes: { name: "n", type: "bridge" } } },
    look(undefined),
  ],
  [
    "Docker: health stands in the action",
    { Type: "container", Action: "health_status: healthy", Actor: { ID: "7f5b" } },
    { ...look("7f5b"), health: "healthy" },
  ],
  [
    "Podman: health stands beside it",
    { Type: "container", Action: "health_status", HealthStatus: "starting", Actor: { ID: "7f5b" } },
    { ...look("7f5b"), health: "starting" },
  ],
  [
    "health that is not told is a look",
    { Type: "container", Action: "health_status", Actor: { ID: "7f5b" } },
    look("7f5b"),
  ],
  [
    "Docker: a signal, at its time",
    {
      Type: "container",
      Action: "kill",
      Actor: { ID: "7f5b", Attributes: { signal: "15" } },
      time: 7,
      timeNano: 7.5e9,
    },
    { kind: "stopping", id: "7f5b", signal: "15", atMs: 7500 },
  ],
  [
    "Podman: a stop, in whole seconds",
    { Type: "container", Action: "stop", Actor: { ID: "7f5b" }, time: 7 },
    { kind: "stopping", id: "7f5b", signal: undefined, atMs: 7000 },
  ],
  ["a stop without time", { Type: "container", Action: "stop", Actor: { ID: "7f5b" } }, look("7f5b")],
  [
    "a kill without signal",
    { Type: "container", Action: "kill", Actor: { ID: "7f5b" }, time: 7 },
    look("7f5b"),
  ],
  [
    "Podman: a probe, or what else was run inside, has ended",
    { Type: "container", Action: "exec_died", Actor: { ID: "7f5b", Attributes: { containerExitCode: "1" } } },
    { kind: "probe", id: "7f5b", passed: false },
  ],
  ["Podman's removal", { Type: "container", Action: "remove", Actor: { ID: "7f5b" } }, look("7f5b")],
  ["Podman's death", { Type: "container", Action: "died", Actor: { ID: "7f5b" } }, look("7f5b")],
];

test.each(recorded)("%s", (_, line, asked) => {
  expect(event(line)).toEqual(asked);
});

test.each(["", "{", "null", "[]", '"text"', '{"Type":"container"}', '{"Actor":null}', '{"Actor":{"ID":7}}'])(
  "%s is a hint at nothing in particular",
  (line) => {
    expect(eventFromLine(line)).toEqual(look(undefined));
  },
);

function look(id: string | undefined): EngineEvent & { kind: "look" } {
  return { kind: "look", id };
}
