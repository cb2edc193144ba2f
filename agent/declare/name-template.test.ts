import { describe, expect, test } from "vitest";
import type { ContainerFacts } from "../engine/facts.ts";
import { containerOf } from "../testing/builders.ts";
import { defaultTemplate, nameFromTemplate, parseNameTemplate } from "./name-template.ts";

const compose = { project: "My_Shop", service: "web", oneoff: false };
const number = { "com.docker.compose.container-number": "2" };

function nameOf(template: string, given: Partial<ContainerFacts> = {}): string | undefined {
  const { found, fault } = nameFromTemplate(
    parseNameTemplate(template),
    containerOf("web_1", given),
    "alpha",
  );
  return found === undefined ? fault : `${found.isOfService ? "compose" : "container"} ${found.text}`;
}

describe("the name", () => {
  const cases: [string, Partial<ContainerFacts>, string | undefined][] = [
    [defaultTemplate, {}, "container web-1"],
    [defaultTemplate, { compose }, "compose web.my-shop"],
    ["{container}.{host}", { compose }, "container web-1.alpha"],
    ["{service}-{number}.{project}", { compose, labels: number }, "compose web-2.my-shop"],
    ["{service}-{number} | {container}", { compose }, "container web-1"],
    ["{image}.img", { image: "reg.example:5000/x/nginx:1.27@sha256:ab" }, "container nginx.img"],
    [
      "{label.team.name}.{container}|{container}",
      { labels: { "team.name": "Blue" } },
      "container blue.web-1",
    ],
    ["{label.team.name}.{container}|{container}", { labels: { "team.name": "" } }, "container web-1"],
    ["{env.SERVICE_NAME}", { env: { SERVICE_NAME: "api" } }, "container api"],
    ["{service}", {}, undefined],
    ["{label.__proto__}", {}, undefined],
    [
      "{container}",
      { name: "___" },
      '"___" gives no DNS label: one has 1 to 63 letters, digits and hyphens; rename it, or set berth.name',
    ],
  ];
  test.each(cases)("of %s", (template, given, expected) => expect(nameOf(template, given)).toBe(expected));
});

test.each([
  ["", /an alternative is empty/],
  ["{container}|", /an alternative is empty/],
  ["{name}", /\{name\} is no placeholder; there are \{container\}/],
  ["{}", /is no placeholder/],
  ["{env.PASSWORD}", /may hold secrets; use a label/],
  ["Web.{container}", /gives no name/],
  ["{container}..x", /gives no name/],
  ["-{container}", /gives no name/],
  ["{container", /is no placeholder/],
])("--name-template %j is refused", (text, message) => {
  expect(() => parseNameTemplate(text)).toThrow(
    expect.objectContaining({ code: "bad-config", message: expect.stringMatching(message) }),
  );
});
