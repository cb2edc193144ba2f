import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";

import { isEnded, ownRunId } from "./run-id.ts";

test("a run is over when its process has ended, and not before", async () => {
  const own = ownRunId();
  expect(own).toMatch(/^\d+-\d+-\d+$/);
  expect(isEnded(own)).toBe(false);
  const child = spawn("true");
  await once(child, "exit");
  expect(isEnded(own.replace(/^\d+/, String(child.pid)))).toBe(true);
});

test("a pid that came again is another run", () => {
  const [pid, start, namespace] = ownRunId().split("-");
  expect(isEnded(`${pid}-${Number(start) - 1}-${namespace}`)).toBe(true);
});

test.each(["", "true", "mine", "1-2"])("%j, which somebody else wrote, is no ended run", (text) => {
  expect(isEnded(text)).toBe(false);
});

test("what another pid namespace counts cannot be judged", () => {
  const [, , namespace] = ownRunId().split("-");
  expect(isEnded(`999999999-1-${Number(namespace) + 1}`)).toBe(false);
});
