import { expect, test } from "vitest";

import { undoAll } from "./undo.ts";

test("a step that cannot be undone keeps no other from it, and is told", async () => {
  const undone: string[] = [];
  const undos = [
    () => void undone.push("first"),
    async () => Promise.reject(new Error("the engine is gone")),
    () => void undone.push("third"),
  ];
  await expect(undoAll(undos)).rejects.toThrow("the engine is gone");
  expect(undone).toEqual(["third", "first"]);
  expect(undos).toEqual([]);
});
