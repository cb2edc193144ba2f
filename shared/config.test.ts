import { describe, expect, test } from "vitest";
import { z } from "zod";

import {
  envName,
  flagName,
  listenOption,
  readConfig,
  secondsOption,
  switchSchema,
  urlListOption,
  urlOption,
} from "./config.ts";

const options = {
  stateDir: { schema: z.string({ error: "a directory" }), value: "DIR", help: "" },
  lease: { schema: secondsOption(5, 3600, 15), value: "SECONDS", help: "" },
  listenHttp: { schema: listenOption("127.0.0.1:8053"), value: "HOST:PORT", help: "" },
  resolverUrl: { schema: urlOption("https://127.0.0.1:8053"), value: "URL", help: "" },
  dryRun: { schema: switchSchema, help: "" },
};
const needed = { stateDir: "/state" };

describe("readConfig", () => {
  test("fills in what is missing and freezes the whole", () => {
    const config = readConfig(options, needed, {});
    expect(config).toEqual({
      stateDir: "/state",
      lease: 15,
      listenHttp: { host: "127.0.0.1", port: 8053 },
      resolverUrl: "https://127.0.0.1:8053",
      dryRun: false,
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test("takes the command line before the environment, and that before the machine's own defaults", () => {
    const env = { BERTH_LEASE: "30", BERTH_STATE_DIR: "/env" };
    expect(readConfig(options, {}, env, { stateDir: "/machine" })).toMatchObject({
      lease: 30,
      stateDir: "/env",
    });
    expect(readConfig(options, { lease: "60" }, env)).toMatchObject({ lease: 60, stateDir: "/env" });
    expect(readConfig(options, {}, {}, { stateDir: "/machine" })).toMatchObject({ stateDir: "/machine" });
  });

  test("takes an empty value for none", () => {
    expect(readConfig(options, needed, { BERTH_LEASE: "" }).lease).toBe(15);
    expect(() => readConfig(options, { stateDir: "" }, {})).toThrow("--state-dir");
  });

  test("lists every fault with both names of its option", () => {
    const flags = { lease: "4", listenHttp: "nowhere" };
    const read = () => readConfig(options, flags, { BERTH_RESOLVER_URL: "ftp://x" });
    expect(read).toThrow(expect.objectContaining({ code: "bad-config" }));
    for (const part of [
      "--state-dir (or BERTH_STATE_DIR): a directory",
      "--lease (or BERTH_LEASE): ",
      "--listen-http (or BERTH_LISTEN_HTTP): ",
      "--resolver-url (or BERTH_RESOLVER_URL): ",
    ]) {
      expect(read).toThrow(part);
    }
  });

  test.each([
    ["1", true],
    ["TRUE", true],
    ["yes", true],
    ["0", false],
    ["no", false],
    ["", false],
  ])("reads a switch from the environment: %j is %s", (text, expected) => {
    expect(readConfig(options, needed, { BERTH_DRY_RUN: text }).dryRun).toBe(expected);
  });

  test("reads a switch from the command line, where it takes no value", () => {
    expect(readConfig(options, { ...needed, dryRun: true }, {}).dryRun).toBe(true);
    expect(() => readConfig(options, { ...needed, dryRun: "maybe" }, {})).toThrow("takes no value");
  });
});

test("one key has one flag and one variable", () => {
  expect([flagName("listenHttp"), envName("listenHttp")]).toEqual(["listen-http", "BERTH_LISTEN_HTTP"]);
});

test.each(["4", "3601", "2.5", "-1", "soon", "NaN", "Infinity", " "])(
  "%j is no number of seconds from 5 to 3600",
  (text) => {
    expect(secondsOption(5, 3600, 15).safeParse(text).success).toBe(false);
  },
);

test.each([
  ["8053", { host: "127.0.0.1", port: 8053 }],
  ["0.0.0.0:0", { host: "0.0.0.0", port: 0 }],
  ["nas.local:443", { host: "nas.local", port: 443 }],
  ["[::1]:8053", { host: "::1", port: 8053 }],
  ["::1:8053", undefined],
  ["127.0.0.1", undefined],
  ["127.0.0.1:65536", undefined],
  ["127.0.0.1:-1", undefined],
  [":80", undefined],
  ["[]:80", undefined],
  ["http://x:80", undefined],
])("listening on %j: %j", (text, expected) => {
  expect(listenOption("127.0.0.1:1").safeParse(text).data).toEqual(expected);
});

test.each([
  ["https://resolver.example/", true],
  ["http://127.0.0.1:8053", true],
  ["http://[::1]:8053", true],
  ["http://localhost:8053", true],
  ["http://resolver.example/", false],
  ["http://127.0.0.1.example.com/", false],
  ["http://localhost@evil.example/", false],
  ["file:///etc/passwd", false],
  ["resolver.example", false],
  ["https://resolver.example/team/@dns", true],
  ["https://resolver.example/part/t", true],
  ["https://resolver.example/start/here", true],
  ["https://user:hunter2@resolver.example/", false],
  ["https://hunter2@resolver.example/", false],
  ["https://resolver.example/?key=hunter2", false],
  ["https://resolver.example/?", false],
  ["https://resolver.example/#hunter2", false],
])("the URL %j is accepted: %s", (text, expected) => {
  expect(urlOption("https://x").safeParse(text).success).toBe(expected);
});

test.each([
  ["https://user:hunter2@resolver.example/", "credentials"],
  ["https://resolver.example/?key=hunter2", "query"],
  ["http://user:hunter2@resolver.example/", "https"],
  ["https://user:hunter2@", "https"],
  ["https://resolver.example/t/hunter2", "use --token-file"],
  ["https://resolver.example/t/hunter2/", "use --token-file"],
  ["https://resolver.example/berth/t/hunter2/dns-query", "use --token-file"],
  ["https://resolver.example/%74%2Fhunter2", "use --token-file"],
])("a fault in the URL %j says what is wrong, and does not repeat a secret", (text, part) => {
  const message = urlOption("https://x").safeParse(text).error?.issues[0]?.message;
  expect(message).toContain(part);
  expect(message).not.toContain("hunter2");
});

describe("a list of URLs", () => {
  const parse = (text?: string) => urlListOption("https://127.0.0.1:8053").safeParse(text);

  test("keeps the order given, and is the standard one when nothing is", () => {
    expect(parse("https://b.example, https://a.example/team").data).toEqual([
      "https://b.example",
      "https://a.example/team",
    ]);
    expect(parse().data).toEqual(["https://127.0.0.1:8053"]);
  });

  test.each(["", "https://a.example,", "https://a.example,http://b.example", "https://a.example b"])(
    "%j is refused: every part must be a URL",
    (text) => expect(parse(text).error?.issues[0]?.message).toContain("not an https URL"),
  );

  test("names no resolver twice, however it is written", () => {
    const fault = parse("https://a.example,https://b.example,https://A.example:443/").error;
    expect(fault?.issues[0]?.message).toContain("https://A.example:443/ is in it twice");
  });
});
