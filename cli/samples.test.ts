import { expect, test } from "vitest";

import { sampleContainers } from "./samples.ts";

test("the samples of two demos have no name in common", () => {
  const first = sampleContainers("");
  const second = sampleContainers("-4711");
  expect(first.map(({ container }) => container)).toEqual(["shop-web-1", "shop-web-2", "berth-hello"]);
  expect(second.map(({ container }) => container)).toEqual([
    "shop-4711-web-1",
    "shop-4711-web-2",
    "berth-hello-4711",
  ]);
  expect(second.map(({ name }) => name)).toEqual(["web.shop-4711", "web.shop-4711", "berth-hello-4711"]);
});
