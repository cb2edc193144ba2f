import { createHash, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { z } from "zod";

import { replyToFault, statusByCode } from "../resolver/faults.ts";
import { closing } from "../resolver/link-protocol.ts";
import { auditListSchema } from "../shared/audit.ts";
import { restoreReportSchema } from "../shared/backup.ts";
import {
  bindingSchema,
  declaredSchema,
  deltaBodySchema,
  errorReplySchema,
  pushBodySchema,
  pushReplySchema,
  refusalSchema,
  renewalBodySchema,
} from "../shared/binding.ts";
import { changeSchema, snapshotSchema } from "../shared/changes.ts";
import { matchesContentDigest } from "../shared/content-digest.ts";
import { canonicalBinding, canonicalText, digestOf } from "../shared/digest.ts";
import { BerthError } from "../shared/errors.ts";
import {
  hostListSchema,
  nameListSchema,
  observedSchema,
  portListSchema,
  serviceListSchema,
  zoneListSchema,
} from "../shared/registry-views.ts";
import { hostIdOfPublicKey, verifyRequest } from "../shared/signature.ts";
import { bodyComponent, turnComponents } from "../shared/signed-headers.ts";
import { rfcPrivateKey, rfcPublicKey, signerOfKey } from "../shared/testing/test-signer.ts";
import { createdTokenSchema, newTokenSchema } from "../shared/tokens.ts";

const page = readFileSync(new URL("../docs/protocol.md", import.meta.url), "utf8");

/** The fenced block with this name behind its language. */
function block(name: string): string {
  const found = [...page.matchAll(/^```[a-z]+ ([a-z-]+)\n([\s\S]*?)\n```$/gm)].filter(
    ([, of]) => of === name,
  );
  if (found.length !== 1) throw new Error(`docs/protocol.md has ${found.length} blocks "${name}"`);
  return found[0]?.[2] ?? "";
}

const jsonIn = (name: string): unknown => JSON.parse(block(name));
const declared = declaredSchema.parse(jsonIn("declared"));
const delta = deltaBodySchema.parse(jsonIn("delta-body"));

/** The cells of the table below `heading`, row by row, without their backticks. */
function tableBelow(heading: string): string[][] {
  const [, after = ""] = page.split(`\n${heading}\n`);
  const [, rows = ""] = /\n\|[-|]+\|\n((?:\|.*\|\n)+)/.exec(after) ?? [];
  const lines = rows.trimEnd().split("\n");
  return lines.map((line) =>
    line
      .slice(1, -1)
      .split(/ \| /)
      .map((cell) => cell.trim().replaceAll("`", "")),
  );
}

describe("docs/protocol.md shows examples that", () => {
  const schemas: Record<string, z.ZodType> = {
    "new-token": newTokenSchema,
    "created-token": createdTokenSchema,
    "unknown-generation": errorReplySchema,
    declared: declaredSchema,
    binding: bindingSchema,
    "delta-body": deltaBodySchema,
    "renewal-body": renewalBodySchema,
    "push-reply": pushReplySchema,
    superseded: errorReplySchema,
    hosts: hostListSchema,
    services: serviceListSchema,
    names: nameListSchema,
    zones: zoneListSchema,
    ports: portListSchema,
    observed: observedSchema,
    snapshot: snapshotSchema,
    change: changeSchema,
    audit: auditListSchema,
    "restore-report": restoreReportSchema,
  };
  test.each(Object.entries(schemas))("are read by their schema, nothing left over: %s", (name, schema) => {
    expect(schema.parse(jsonIn(name))).toEqual(jsonIn(name));
  });

  test("are all checked", () => {
    const names = [...page.matchAll(/^```json([^\n]*)$/gm)].map(([, name]) => name?.trim());
    expect(names.toSorted()).toEqual([...Object.keys(schemas), "push-body"].toSorted());
  });

  test("are a whole push, with the set put in", () => {
    const push = pushBodySchema.parse({ ...(jsonIn("push-body") as object), declared });
    expect(push.digest).toBe(block("digest"));
  });

  test("are refused by a schema for one more field", () => {
    const more = { ...(jsonIn("renewal-body") as object), epoch: 1 };
    expect(renewalBodySchema.safeParse(more).success).toBe(false);
  });
});

describe("docs/protocol.md computes right", () => {
  test("the canonical text and its digest, by Node's crypto too", async () => {
    expect(canonicalText(declared)).toBe(block("canonical"));
    expect(await digestOf(declared)).toBe(block("digest"));
    expect(createHash("sha256").update(block("canonical")).digest("hex")).toBe(block("digest"));
  });

  test("the canonical text of a binding that says more", () => {
    expect(canonicalBinding(bindingSchema.parse(jsonIn("binding")))).toBe(block("canonical-binding"));
  });

  test("where the delta leads from that set", async () => {
    const replaced = new Set([...delta.changed.map(({ name }) => name), ...delta.gone]);
    const kept = declared.bindings.filter(({ name }) => !replaced.has(name));
    expect(delta.base).toBe(block("digest"));
    expect(await digestOf({ ...delta.declared, bindings: [...kept, ...delta.changed] })).toBe(delta.digest);
  });

  test("the signed request", async () => {
    const [head = "", body = ""] = block("signed-request").split("\n\n");
    const [start = "", ...lines] = head.split("\n");
    const [method = "", path = ""] = start.split(" ");
    const headers = new Headers(lines.map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]));
    const hostId = (await hostIdOfPublicKey(signerOfKey(rfcPrivateKey).publicKey)) ?? "";
    expect(path).toBe(`/v1/hosts/${hostId}/lease`);
    expect(page).toContain(`whose host id is \`${hostId}\``);
    const octets = new TextEncoder().encode(body);
    expect(await matchesContentDigest(headers.get(bodyComponent) ?? "", octets)).toBe(true);
    expect(renewalBodySchema.parse(JSON.parse(body))).toEqual(jsonIn("renewal-body"));
    const covered = [...turnComponents, bodyComponent];
    const { error } = errorReplySchema.parse(jsonIn("unknown-generation"));
    expect(await verifyRequest({ method, path, headers }, covered, hostId)).toBe(error.generation);
  });

  test("what is signed, and the signature, by Node's crypto", () => {
    const base = Buffer.from(block("signature-base"));
    const [, signature = ""] = /^signature: berth=:(.*):$/m.exec(block("signed-request")) ?? [];
    expect(sign(null, base, rfcPrivateKey).toString("base64")).toBe(signature);
    expect(verify(null, base, rfcPublicKey, Buffer.from(signature, "base64"))).toBe(true);
  });
});

describe("docs/protocol.md lists", () => {
  test("every fault with its status, and no other", () => {
    const listed = tableBelow("## Faults").map(([status, code]) => [code, Number(status)]);
    expect(listed.toSorted()).toEqual(Object.entries(statusByCode).toSorted());
  });

  test("the statuses the resolver replies with", () => {
    for (const [code, status] of Object.entries(statusByCode)) {
      const reply = replyToFault(new BerthError(code, "because"), () => undefined);
      expect([code, reply.status]).toEqual([code, status]);
    }
  });

  test("every reason a name is refused for, and no other", () => {
    const listed = tableBelow("## Grant").map(([code]) => code);
    expect(listed.toSorted()).toEqual(refusalSchema.shape.code.options.toSorted());
  });

  test("both meanings of 409 that an agent acts on", () => {
    const listed = tableBelow("## 409").map(([code]) => code);
    expect(listed).toEqual(["unknown-digest", "superseded"]);
  });

  test("every code a link is closed with, and no other", () => {
    const listed = tableBelow("## Link").map(([code]) => Number(code));
    const used = new Set(Object.values(closing).map(([code]) => code as number));
    expect(listed).toEqual([...used].toSorted());
  });

  test("every component a signature has to cover", () => {
    const [, section = ""] = page.split("\n## Hosts and signatures\n");
    for (const name of [...turnComponents, bodyComponent]) expect(section).toContain(`\`${name}\``);
  });
});
