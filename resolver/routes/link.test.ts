import { expect, test } from "vitest";

import type { PushReply } from "../../shared/binding.ts";
import { BerthError } from "../../shared/errors.ts";
import { bootstrapAccess } from "../access.ts";
import { createTestApp, hostId } from "../testing/app.ts";
import { judgeLink } from "./link.ts";

const linkFields = { "berth-digest": "0".repeat(64), "berth-lease": "15" };
const reply: PushReply = { lease: 15, revision: 1, grantsRevision: 1, hostLabel: "nas", refused: [] };
const store = { renew: async () => ({ kind: "accepted" as const, reply }) };

async function linkRequest(): Promise<Request> {
  const { agent } = createTestApp();
  const path = `/v1/hosts/${hostId}/link`;
  return agent.sign("GET", path, undefined, { headers: linkFields, generation: "g", sequence: 1 });
}

test("a link is opened for the process that asked for it, as its renewal was judged", async () => {
  const tokens = { check: async () => bootstrapAccess("agent") };
  const judged = await judgeLink(await linkRequest(), { store, tokens });
  expect(judged).toMatchObject({ hostId, epoch: 1, generation: "g", reply });
});

test("a token revoked while its link is judged opens none: there was no link yet to be closed", async () => {
  const verdicts = [async () => bootstrapAccess("agent"), async () => Promise.reject(revoked)];
  const revoked = new BerthError("token-revoked", "the token was revoked");
  const tokens = { check: async () => (verdicts.shift() ?? (async () => bootstrapAccess("agent")))() };
  await expect(judgeLink(await linkRequest(), { store, tokens })).rejects.toBe(revoked);
});
