import { expect, test } from "vitest";

import { BerthError } from "../../shared/errors.ts";
import { createLog } from "../../shared/log.ts";
import { standardSettings } from "../settings.ts";
import { binding, TestHost, zone } from "../store/contract/builders.ts";
import { createMemoryStore } from "../store/memory.ts";
import { tellingOfFaults } from "./told-store.ts";

function storeThatFails(fault: unknown) {
  const lines: string[] = [];
  const log = createLog("resolver", "debug", (line) => lines.push(line));
  const inner = createMemoryStore(standardSettings(zone), () => 0);
  const failing = { ...inner, push: () => Promise.reject(fault), pushDelta: () => Promise.reject(fault) };
  return { lines, store: tellingOfFaults(failing, log) };
}

test("a push the disk had no room for is told to the log, and still refused", async () => {
  const fault = new BerthError("disk-full", "there is no room left", { retryable: true });
  const { lines, store } = storeThatFails(fault);
  const nas = new TestHost("a", "nas");
  await expect(nas.push(store, [binding("web")])).rejects.toBe(fault);
  await expect(nas.pushDelta(store, { gone: ["web"] })).rejects.toBe(fault);
  const line = "error resolver: a push was refused: there is no room left";
  expect(lines).toEqual([line, line]);
});

test("a fault nobody foresaw is left to who logs the request", async () => {
  const { lines, store } = storeThatFails(new Error("bug"));
  await expect(new TestHost("a", "nas").push(store, [])).rejects.toThrow("bug");
  expect(lines).toEqual([]);
});
