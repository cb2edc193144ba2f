import { describe, expect, test } from "vitest";
import { z } from "zod";

import { type Option, readConfig, switchSchema } from "../shared/config.ts";
import { helpFor, parseArguments, parseFlags } from "./flags.ts";

const options = {
  tokenFile: { schema: z.string().default("x"), value: "FILE", help: "a file" },
  yes: { schema: switchSchema, help: "do not ask" },
} satisfies Record<string, Option<unknown>>;

describe("the flags of a command", () => {
  test.each([
    [["--token-file", "a", "--yes"], { tokenFile: "a", yes: true }],
    [["--token-file=a b"], { tokenFile: "a b" }],
    [[], {}],
  ])("%j", (argv, expected) => {
    expect(parseFlags(options, argv)).toEqual(expected);
  });

  test.each([
    [["--tokenfile", "a"], /--tokenfile.*--help lists the flags/],
    [["--token-file"], /--token-file/],
    [["--yes=1"], /--yes/],
    [["stray"], /stray/],
  ])("%j is refused, with the flag's name", (argv, message) => {
    expect(() => parseFlags(options, argv)).toThrow(message);
  });

  test("win over the environment, which wins over the machine's defaults", () => {
    const env = { BERTH_TOKEN_FILE: "env" };
    const read = (argv: string[], from: Record<string, string>) =>
      readConfig(options, parseFlags(options, argv), from, { tokenFile: "machine" }).tokenFile;
    expect(read(["--token-file", "flag"], env)).toBe("flag");
    expect(read([], env)).toBe("env");
    expect(read([], {})).toBe("machine");
  });

  describe("of a list", () => {
    const lists = {
      engine: { schema: z.string().default("standard"), value: "URL", help: "an engine", list: true },
      zone: { schema: z.string().default(""), value: "NAME", help: "a zone" },
    } satisfies Record<string, Option<unknown>>;

    test.each([
      [["--engine", "a", "--engine=b", "--zone", "z", "--engine", "c"], { engine: "a,b,c", zone: "z" }],
      [["--engine", "a"], { engine: "a" }],
      [["--engine", "a,b", "--engine", "c"], { engine: "a,b,c" }],
      [["--engine", "", "--engine", "a"], { engine: "a" }],
      [[], {}],
    ])("%j is one text, as it would be in the environment", (argv, expected) => {
      expect(parseFlags(lists, argv)).toEqual(expected);
    });

    test("win over the environment as a whole", () => {
      const read = (argv: string[]) =>
        readConfig(lists, parseFlags(lists, argv), { BERTH_ENGINE: "x,y" }).engine;
      expect(read(["--engine", "a", "--engine", "b"])).toBe("a,b");
      expect(read([])).toBe("x,y");
      expect(read(["--engine", ""])).toBe("standard");
    });

    test("are read beside operands, too", () => {
      const wanted = { least: 1, most: 1, what: "one" };
      expect(parseArguments(lists, ["--engine", "a", "web", "--engine", "b"], wanted)).toEqual({
        flags: { engine: "a,b" },
        operands: ["web"],
      });
    });

    test("say in the list of flags that they may be repeated", () => {
      expect(helpFor(lists)).toBe("  --engine URL  an engine; may be repeated\n  --zone NAME   a zone");
    });
  });

  test("may have operands beside them, as many as the command takes", () => {
    const wanted = { least: 1, most: 2, what: "one id or two" };
    const read = (argv: string[]) => parseArguments(options, argv, wanted);
    expect(read(["a", "--token-file", "x", "b"])).toEqual({
      flags: { tokenFile: "x" },
      operands: ["a", "b"],
    });
    expect(() => read(["--yes"])).toThrow("give one id or two, not nothing");
    expect(() => read(["a", "b", "c"])).toThrow("give one id or two, not a b c");
    expect(() => read(["a", "--no"])).toThrow(/--no.*--help lists the flags/);
    expect(read(["--", "-"]).operands).toEqual(["-"]);
  });

  test("are listed one a line", () => {
    expect(helpFor(options)).toBe("  --token-file FILE  a file\n  --yes              do not ask");
  });
});
