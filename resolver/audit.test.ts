import { describe, expect, test } from "vitest";

import { auditEntrySchema } from "../shared/audit.ts";
import type { Refusal } from "../shared/binding.ts";
import { parseName } from "../shared/name.ts";
import {
  entryOfCopy,
  entryOfHostGone,
  entryOfPush,
  entryOfRelease,
  entryOfTokenCreated,
  entryOfTokenRevoked,
  type NewAuditEntry,
} from "./audit.ts";
import { accessOf, makeToken } from "./testing/tokens.ts";

const hostId = "a".repeat(52);
const at = 1_800_000_000_000;
const agent = accessOf("agent");
const admin = accessOf("admin");

function refusal(label: string, changed: Partial<Refusal> = {}): Refusal {
  return { name: parseName(`${label}.berth.internal`), code: "reserved", message: "is reserved", ...changed };
}

function push(refused: Refusal[], hostLabel = "nas"): NewAuditEntry {
  return entryOfPush(agent, { hostId, hostLabel, added: 3, removed: 1, changed: 2, refused }, at);
}

describe("the entry of a push", () => {
  test("says whose host it was, by which token, and how many names came and went", () => {
    expect(push([])).toEqual({
      at,
      actor: { tokenId: "bootstrap-agent", kind: "agent", owner: "operator" },
      action: "push",
      target: hostId,
      outcome: "done",
      code: null,
      detail: "nas: +3 -1 names, 2 changed",
      count: 1,
    });
  });

  test("says which names were refused and why, and who has them", () => {
    const held = refusal("web", { code: "held", holder: { owner: "team-b", hostLabel: "pi" } });
    expect(push([held, refusal("ns")]).detail).toBe(
      "nas: +3 -1 names, 2 changed; 2 refused: web.berth.internal (held by team-b on pi), ns.berth.internal (reserved)",
    );
  });

  test("names three of them and counts the rest", () => {
    const many = Array.from({ length: 5000 }, (_, index) => refusal(`n${index}`));
    const { detail } = push(many);
    expect(detail).toMatch(/; 5000 refused: n0.*, n1.*, n2\.berth\.internal \(reserved\), and 4997 more$/);
  });

  test("stays within its bounds and on one line, whatever the names are", () => {
    const long = [60, 60, 60].map((length) => "x".repeat(length)).join(".");
    const entry = push([refusal(long), refusal(`a.${long}`), refusal(`b.${long}`)], "a\nb\u2028c");
    expect(entry.detail).toMatch(/^a b c: .*\.\.\.$/);
    expect(auditEntrySchema.parse({ id: 1, ...entry })).toEqual({ id: 1, ...entry });
  });
});

describe("the entries of other changes", () => {
  test("tell a withdrawal, which somebody wished, from a lapse, which nobody did", () => {
    expect(entryOfHostGone(admin, hostId, "nas", at)).toMatchObject({
      action: "withdraw",
      actor: { kind: "admin" },
      target: hostId,
      detail: "nas",
    });
    expect(entryOfHostGone(null, hostId, "nas", at)).toMatchObject({ action: "lapse", actor: null });
  });

  test("say what was released, created, revoked, saved and restored", async () => {
    const { record, text } = await makeToken(1, { expiresAt: at, createdAt: 5 });
    const entries = [
      entryOfRelease(admin, parseName("web.berth.internal"), "team-a", at),
      entryOfTokenCreated(admin, record),
      entryOfTokenRevoked(admin, record, at),
      entryOfCopy("restore", admin, "41 hosts", at),
    ];
    expect(entries.map(({ action, target, detail, at: when }) => [action, target, detail, when])).toEqual([
      ["release", "web.berth.internal", "was held for team-a", at],
      ["token-create", record.id, "agent of team-a, until 2027-01-15T08:00:00.000Z", 5],
      ["token-revoke", record.id, "agent of team-a", at],
      ["restore", "registry", "41 hosts", at],
    ]);
    expect(JSON.stringify(entries)).not.toContain(text.slice(-43));
    expect(JSON.stringify(entries)).not.toContain(record.hash);
  });

  test("say what a new token may do, in short", async () => {
    const limited = { names: ["*.shop"], hosts: ["nas", "pi"], maxBindings: 500, maxLease: 60 };
    const { record } = await makeToken(1, { scope: limited });
    expect(entryOfTokenCreated(admin, record).detail).toBe(
      "agent of team-a, until revoked; names *.shop; hosts nas, pi; 500 bindings; lease 60 s",
    );
    const hosts = Array.from({ length: 1000 }, (_, index) => `${index}`.padStart(4, "0") + "a".repeat(48));
    const long = await makeToken(2, { scope: { ...limited, hosts, names: [] } });
    const { detail } = entryOfTokenCreated(admin, long.record);
    expect(detail).toMatch(
      /; hosts 0000a+\.\.\., 0001a+\.\.\., 0002a+\.\.\. and 997 more; 500 bindings; lease 60 s$/,
    );
  });
});
