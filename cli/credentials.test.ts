import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

import { credentialDefaults } from "./credentials.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-credentials-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("takes the files systemd hands over for the token and the authority", () => {
  writeFileSync(join(dir, "token"), "secret\n");
  writeFileSync(join(dir, "ca"), "-----BEGIN CERTIFICATE-----\n");
  expect(credentialDefaults({ CREDENTIALS_DIRECTORY: dir })).toEqual({
    tokenFile: join(dir, "token"),
    ca: join(dir, "ca"),
  });
});

it("leaves out what the unit only filled in, so that the usual default stands", () => {
  writeFileSync(join(dir, "token"), "secret\n");
  writeFileSync(join(dir, "ca"), "none");
  expect(credentialDefaults({ CREDENTIALS_DIRECTORY: dir })).toEqual({ tokenFile: join(dir, "token") });
});

it("is nothing outside of a service", () => {
  expect(credentialDefaults({})).toEqual({});
  expect(credentialDefaults({ CREDENTIALS_DIRECTORY: dir })).toEqual({});
});
