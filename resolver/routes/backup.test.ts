import { expect, test, vi } from "vitest";

import { backupType } from "../../shared/backup.ts";
import { BerthError } from "../../shared/errors.ts";
import type { TokenKind } from "../../shared/tokens.ts";
import type { NewAuditEntry } from "../audit.ts";
import { faultOf } from "../testing/app.ts";
import { mountFor } from "../testing/mount.ts";
import { type BackupParts, type BackupPort, backupRoutes } from "./backup.ts";

const path = "/v1/backup";
const report = { hosts: 2, bindings: 30, names: 4, tokens: 1 };
const put = { method: "PUT", headers: { "content-type": backupType }, body: "the registry" };

function mount(kind: TokenKind, changed: Partial<BackupParts> = {}) {
  const entries: NewAuditEntry[] = [];
  const audit = { record: async (more: NewAuditEntry[]) => void entries.push(...more) };
  const restored: string[] = [];
  const port = {
    backup: vi.fn<BackupPort["backup"]>(async () => ({ octets: streamOf("the registry"), length: 12 })),
    restore: vi.fn<BackupPort["restore"]>(async (octets) => {
      restored.push(await new Response(octets).text());
      return report;
    }),
  };
  const routes = backupRoutes({ backup: port, audit, now: () => 5.5, ...changed });
  return { app: mountFor(kind, path, routes), entries, restored, port };
}

function streamOf(text: string): ReadableStream<Uint8Array> {
  return new Blob([text]).stream();
}

test("an admin gets the registry as a file, which is written down", async () => {
  const { app, entries } = mount("admin");
  const response = await app.request(path);
  expect(response.headers.get("content-type")).toBe(backupType);
  expect(response.headers.get("content-length")).toBe("12");
  expect(response.headers.get("cache-control")).toBe("no-store, no-transform");
  expect(await response.text()).toBe("the registry");
  expect(entries).toMatchObject([{ action: "backup", at: 5, actor: { tokenId: "bootstrap-admin" } }]);
});

test("asking for the head alone makes no copy", async () => {
  const { app, port } = mount("admin");
  expect((await app.request(path, { method: "HEAD" })).status).toBe(200);
  expect(port.backup).not.toHaveBeenCalled();
});

test("an admin puts a file back, which is written down with what is there now", async () => {
  const { app, entries, restored } = mount("admin");
  expect(await (await app.request(path, put)).json()).toEqual(report);
  expect(restored).toEqual(["the registry"]);
  expect(entries).toMatchObject([
    { action: "restore", detail: "2 hosts, 30 bindings, 4 names, 1 tokens", outcome: "done" },
  ]);
});

test.each(["reader", "agent"] as const)("a token of kind %s may do neither", async (kind) => {
  const { app, port } = mount(kind);
  for (const init of [{}, put]) {
    expect(await faultOf(await app.request(path, init))).toMatchObject({
      status: 403,
      code: "token-not-allowed",
    });
  }
  expect(port.backup).not.toHaveBeenCalled();
  expect(port.restore).not.toHaveBeenCalled();
});

test("a store that is not one file says so", async () => {
  const { app } = mount("admin", { backup: undefined });
  for (const init of [{}, put]) {
    expect(await faultOf(await app.request(path, init))).toMatchObject({
      status: 501,
      code: "not-supported",
    });
  }
});

test("a body that says it is too large is not read", async () => {
  const { app, port } = mount("admin", { maxLength: 11 });
  const init = { ...put, headers: { ...put.headers, "content-length": "12" } };
  expect(await faultOf(await app.request(path, init))).toMatchObject({ status: 413 });
  expect(port.restore).not.toHaveBeenCalled();
});

test("a body that is too large without saying so is read as far as the limit", async () => {
  const { app, restored, entries } = mount("admin", { maxLength: 11 });
  expect(await faultOf(await app.request(path, put))).toMatchObject({ status: 413, code: "body-too-large" });
  expect(restored).toEqual([]);
  expect(entries).toEqual([]);
});

test("a body of another type, or none, is no copy", async () => {
  const { app } = mount("admin");
  const json = { ...put, headers: { "content-type": "application/json" } };
  expect(await faultOf(await app.request(path, json))).toMatchObject({ status: 415 });
  const { body: _, ...empty } = put;
  expect(await faultOf(await app.request(path, empty))).toMatchObject({ status: 422, code: "bad-backup" });
});

test("a file the store does not take changes nothing, and is not written down as a change", async () => {
  const { app, entries, port } = mount("admin");
  port.restore.mockRejectedValue(new BerthError("bad-backup", "it is damaged"));
  expect(await faultOf(await app.request(path, put))).toMatchObject({
    status: 422,
    message: "it is damaged",
  });
  expect(entries).toEqual([]);
});
