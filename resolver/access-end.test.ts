import { expect, test, vi } from "vitest";

import { FakeClock } from "../agent/testing/fake-clock.ts";
import { createLog } from "../shared/log.ts";
import { whenAccessEnds } from "./access-end.ts";
import { accessOf } from "./testing/tokens.ts";
import { TokenWatch } from "./token-table.ts";

function bed() {
  const clock = new FakeClock();
  const watch = new TokenWatch(createLog("resolver", "error", () => undefined));
  const parts = { watch, timers: clock, now: () => clock.now() };
  return { clock, watch, parts, end: vi.fn() };
}
const forTwoSeconds = (clock: FakeClock) =>
  accessOf("reader", { tokenId: "t1", expiresAt: clock.now() + 2000 });

test("access ends when its own token is revoked, and once only", async () => {
  const { clock, watch, parts, end } = bed();
  whenAccessEnds(parts, forTwoSeconds(clock), end);
  watch.announce("t2");
  expect(end).not.toHaveBeenCalled();
  watch.announce("t1");
  watch.announce("t1");
  await clock.advance(3000);
  expect(end).toHaveBeenCalledTimes(1);
});

test("access ends when the token has expired, and not before", async () => {
  const { clock, parts, end } = bed();
  whenAccessEnds(parts, forTwoSeconds(clock), end);
  await clock.advance(1999);
  expect(end).not.toHaveBeenCalled();
  await clock.advance(1);
  expect(end).toHaveBeenCalledTimes(1);
});

test("nothing is kept of one that was called off", async () => {
  const { clock, watch, parts, end } = bed();
  whenAccessEnds(parts, forTwoSeconds(clock), end)();
  watch.announce("t1");
  await clock.advance(3000);
  expect(end).not.toHaveBeenCalled();
});
