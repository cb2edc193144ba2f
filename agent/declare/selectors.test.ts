import { expect, test } from "vitest";
import { containerOf, networkOf } from "../testing/builders.ts";
import { parseSelectors, selectedOut } from "./selectors.ts";

const container = containerOf("web", {
  labels: { team: "blue", "a.b": "x=y" },
  networks: [networkOf("front", "172.18.0.2")],
});

function outBy(only: string, except: string): string | undefined {
  return selectedOut(container, { only: parseSelectors(only), except: parseSelectors(except) });
}

test.each([
  ["", ""],
  ["label:team", ""],
  ["label:team=red label:team=blue", ""],
  ["label:a.b=x=y", ""],
  ["network:front,network:back", ""],
  ["network:default", ""],
  ["", "label:team=red"],
])("--only %j --except %j let it in", (only, except) => expect(outBy(only, except)).toBeUndefined());

test.each([
  ["label:team=red", "", "--only label:team=red leaves it out"],
  ["label:toString", "", "--only label:toString leaves it out"],
  ["network:back,label:x", "", "--only network:back,label:x leaves it out"],
  ["label:team", "network:front", "--except network:front leaves it out"],
])("--only %j --except %j leave it out", (only, except, why) => expect(outBy(only, except)).toBe(why));

test.each(["team=blue", "label:", "label:=x", "network:", "image:nginx", ":x"])("%j is refused", (text) => {
  expect(() => parseSelectors(text, "--except")).toThrow(
    expect.objectContaining({
      code: "bad-config",
      who: "--except",
      message: expect.stringMatching(/give label:KEY/),
    }),
  );
});
