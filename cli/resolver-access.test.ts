import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

import { BerthError } from "../shared/errors.ts";
import { makeTemporaryDir } from "../test/testbed/temporary-dir.ts";
import { aboutToken } from "./admin.ts";
import { askWhetherItRuns, readToken } from "./resolver-access.ts";

const own = "/nowhere/reader.token";

test.each([
  ["empty", "\n"],
  ["two lines", "secret-one\nsecret-two\n"],
])("a token file with %s is refused, without a word of what it holds", (_, text) => {
  const directory = makeTemporaryDir("berth-token-");
  onTestFinished(() => directory.remove());
  const file = join(directory.path, "some.token");
  writeFileSync(file, text);
  expect(() => readToken(file, own)).toThrow(`the token file ${file} holds no token`);
  expect(() => readToken(file, own)).toThrow(/keeps reader\.token in its state directory/);
  expect(() => readToken(file, own)).not.toThrow(/secret/);
});

test("where no resolver was started, that is what is said", () => {
  const message = "no resolver was started on this machine (/nowhere has no reader.token)";
  expect(() => readToken(own, own)).toThrow(message);
  expect(() => readToken("/nowhere/other.token", own)).toThrow(
    /^cannot read the token in \/nowhere\/other\.token/,
  );
});

test("no reply leads to the question whether the resolver runs, any other fault to itself", () => {
  const silent = new BerthError("resolver-unreachable", "no reply", { retryable: true });
  expect(() => askWhetherItRuns(silent)).toThrow("no reply; is it running?");
  const other = new BerthError("bad-reply", "not a resolver");
  expect(() => askWhetherItRuns(other)).toThrow(other);
});

test("a token of the wrong kind leads to the file it came from, and to the kind that is needed", () => {
  const fault = aboutToken(new BerthError("token-not-allowed", "no"), "/here/agent.token");
  expect(String(fault)).toMatch(/\/here\/agent\.token was sent, and an admin's is needed: admin\.token/);
  const other = new BerthError("name-live", "served");
  expect(aboutToken(other, "x")).toBe(other);
});
