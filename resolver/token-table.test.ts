import { expect, test } from "vitest";

import { createLog } from "../shared/log.ts";
import type { NewAuditEntry } from "./audit.ts";
import { describeTokenTable } from "./store/contract/token-tables.ts";
import { createMemoryTokenTable, TokenWatch } from "./token-table.ts";

function makeWatch() {
  const logged: string[] = [];
  const watch = new TokenWatch(createLog("resolver", "debug", (line) => logged.push(line)));
  return { watch, logged };
}

describeTokenTable("memory", async () => {
  const entries: NewAuditEntry[] = [];
  const announced: string[] = [];
  const { watch } = makeWatch();
  watch.onRevoked((id) => announced.push(id));
  const audit = { record: async (added: NewAuditEntry[]) => void entries.push(...added) };
  const actions = async () => entries.map(({ action }) => action);
  return { table: createMemoryTokenTable(audit, watch), announced, actions };
});

test("a watcher that fails keeps no other from hearing of a revocation, and is logged", () => {
  const { watch, logged } = makeWatch();
  const heard: string[] = [];
  watch.onRevoked(() => {
    throw new Error("socket is gone");
  });
  watch.onRevoked((id) => heard.push(id));
  watch.announce("abcdefghij");
  expect(heard).toEqual(["abcdefghij"]);
  expect(logged).toEqual([expect.stringContaining("abcdefghij holds open: socket is gone")]);
});

test("a watch that was ended hears nothing more", () => {
  const { watch } = makeWatch();
  const heard: string[] = [];
  const end = watch.onRevoked((id) => heard.push(id));
  watch.announce("first");
  end();
  watch.announce("second");
  expect(heard).toEqual(["first"]);
});
