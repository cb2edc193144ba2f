import { expect, test } from "vitest";

import { hintFromEvent, LineSplitter } from "./event-lines.ts";

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

const event = (fields: Record<string, unknown>) => hintFromEvent(JSON.stringify(fields));

test("a container event hints at its container", () => {
  expect(event({ Type: "container", Action: "start", Actor: { ID: "7f5b" } })).toEqual({
    kind: "look",
    id: "7f5b",
  });
});

test("a network event hints at the container among its attributes, not at the network", () => {
  const Actor = { ID: "e985", Attributes: { container: "7f5b" } };
  expect(event({ Type: "network", Action: "connect", Actor })).toEqual({ kind: "look", id: "7f5b" });
});

test("health_status changes facts; the probe's exec events do not", () => {
  const Actor = { ID: "7f5b" };
  expect(event({ Type: "container", Action: "health_status: healthy", Actor }).kind).toBe("look");
  for (const Action of ["exec_create: CMD x", "exec_start: CMD x", "exec_die", "attach", "top"])
    expect(event({ Type: "container", Action, Actor }).kind).toBe("nothing");
});

test.each(["", "{", "null", "[]", '"text"', '{"Type":"container"}', '{"Actor":null}', '{"Actor":{"ID":7}}'])(
  "%s is a hint at nothing in particular",
  (line) => {
    expect(hintFromEvent(line)).toEqual({ kind: "look", id: undefined });
  },
);
