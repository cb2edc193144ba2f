import { describe, expect, test } from "vitest";

import { BerthError, describeFault } from "./errors.ts";
import { createLog } from "./log.ts";

function logged(level: "debug" | "info" | "warn" | "error") {
  const lines: string[] = [];
  const log = createLog("agent", level, (line, severity) => lines.push(`${severity}|${line}`));
  return { lines, log };
}

describe("a log", () => {
  test("drops what is below its level", () => {
    const { lines, log } = logged("warn");
    for (const severity of ["debug", "info", "warn", "error"] as const) log[severity]("x");
    expect(lines).toEqual(["warn|warn  agent: x", "error|error agent: x"]);
  });

  test.each([
    ["a line break", "web\nerror agent: forged"],
    ["CR LF", "web\r\nerror agent: forged"],
    ["a terminal's escapes", "web\u001b[2J\u009b31m"],
    ["Unicode's line separators", "web\u2028x\u2029y\u0085z"],
    ["NUL, backspace and delete", "web\0\b\u007f"],
  ])("lets no %s through", (_, message) => {
    const { lines, log } = logged("debug");
    log.info(message);
    expect(lines).toHaveLength(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must be gone
    expect(lines[0]).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    expect(lines[0]).toContain("info  agent: web ");
  });
});

describe("describeFault", () => {
  const cause = new Error("connect ECONNREFUSED");
  test.each<[string, unknown, string]>([
    [
      "a chain of causes",
      new BerthError("x", "no reply", { cause: new Error("fetch failed", { cause }) }),
      "no reply: fetch failed: connect ECONNREFUSED",
    ],
    ["a cause that adds nothing", new Error("outer: inner", { cause: new Error("inner") }), "outer: inner"],
    [
      "many at once, without a message",
      new AggregateError([cause, new Error("second")]),
      "connect ECONNREFUSED",
    ],
    ["what is no error", "a string", "a string"],
    ["nothing", undefined, ""],
  ])("tells %s in one line", (_, fault, text) => expect(describeFault(fault)).toBe(text));

  test("ends in a circle of causes", () => {
    const one = new Error("one");
    one.cause = new Error("two", { cause: one });
    expect(describeFault(one)).toBe("one: two");
  });
});
