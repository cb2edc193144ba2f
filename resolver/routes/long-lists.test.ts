import { expect, test } from "vitest";

import { binding } from "../store/contract/builders.ts";
import { refuseWrongBindings } from "./long-lists.ts";

const wrong = { addresses: Array(32).fill(0) };
const refuse = (list: unknown) => () => refuseWrongBindings(list, "changed");

test("a long list with many wrong bindings is refused by the first ten of them", () => {
  const list = [...Array(300).fill(binding("web")), ...Array(20_000).fill(wrong)];
  expect(refuse(list)).toThrow(
    expect.objectContaining({
      code: "invalid-body",
      facts: { faults: expect.arrayContaining([{ path: "changed.300.name", message: expect.any(String) }]) },
    }),
  );
  try {
    refuse(list)();
  } catch (fault) {
    expect(JSON.stringify(fault)).not.toContain("changed.310");
  }
});

test("a short one, a good one, or one with few faults is left to the schema", () => {
  expect(refuse(Array(200).fill(wrong))).not.toThrow();
  expect(refuse(Array(20_000).fill(binding("web")))).not.toThrow();
  expect(refuse([...Array(300).fill(binding("web")), ...Array(9).fill(wrong)])).not.toThrow();
  for (const other of [undefined, null, "text", 7, {}]) expect(refuse(other)).not.toThrow();
});
