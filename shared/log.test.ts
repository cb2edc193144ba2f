import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { BerthError, describeFault } from "./errors.ts";
import { createLog, logLevels } from "./log.ts";

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

describe("a log for the journal", () => {
  test("says each level by its number, and not by a word as well", () => {
    const lines: string[] = [];
    const log = createLog("agent", "debug", (line) => lines.push(line), "priority");
    for (const severity of logLevels) log[severity]("x");
    expect(lines).toEqual(["<7>agent: x", "<6>agent: x", "<4>agent: x", "<3>agent: x"]);
  });

  test("drops what is below its level", () => {
    const lines: string[] = [];
    const log = createLog("agent", "warn", (line) => lines.push(line), "priority");
    for (const severity of logLevels) log[severity]("x");
    expect(lines).toEqual(["<4>agent: x", "<3>agent: x"]);
  });
});

describe("a line", () => {
  test("is never so long that the journal would cut it, and take what follows for a line of its own", () => {
    const lines: string[] = [];
    const log = createLog("agent", "debug", (line) => lines.push(line), "priority");
    log.info(`${"日".repeat(50_000)}<3>forged`);
    expect(Buffer.byteLength(lines[0] ?? "")).toBeLessThan(16 * 1024);
    expect(lines[0]).toMatch(/日\.\.\. \(46009 characters more\)$/);
    log.info("x".repeat(4_000));
    expect(lines[1]).toBe(`<6>agent: ${"x".repeat(4_000)}`);
  });

  test("is one line with its own start, whatever it quotes", { timeout: 60_000 }, () => {
    const unit = fc.constantFrom(
      ..."\n\r\u2028\u2029\u0085\v\f\0\b\u001b\u009b\u202e\u200b\ud800<3>[2J error agent:",
    );
    const quoted = fc.oneof(fc.string({ unit }), fc.string({ unit: "binary", maxLength: 200 }));
    const property = fc.property(quoted, fc.constantFrom(...logLevels), (text, severity) => {
      for (const [style, start] of [
        ["word", `${severity.padEnd(5)} agent: `],
        ["priority", `<${{ debug: 7, info: 6, warn: 4, error: 3 }[severity]}>agent: `],
      ] as const) {
        const written: string[] = [];
        createLog("agent", "debug", (line) => written.push(line), style)[severity](text);
        expect(written).toHaveLength(1);
        expect(written[0]?.startsWith(start)).toBe(true);
        expect(written[0]).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      }
    });
    fc.assert(property, { numRuns: 200 });
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
