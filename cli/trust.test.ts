import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { fetchTrusting } from "./trust.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-t-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("a --ca without a certificate is refused, with its name", () => {
  const file = join(directory, "ca.pem");
  expect(() => fetchTrusting(file, true)).toThrow(`--ca ${file}: there is no such file`);
  writeFileSync(file, "not a certificate");
  expect(() => fetchTrusting(file, true)).toThrow(`--ca ${file}: holds no certificate`);
});

test("a resolver's own authority may come later", () => {
  expect(() => fetchTrusting(join(directory, "ca.pem"), false)).not.toThrow();
});
