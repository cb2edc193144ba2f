import { expect, test } from "vitest";

import { statusOption } from "./status-option.ts";

test.each([
  [undefined, { host: "127.0.0.1", port: 9853 }],
  ["off", undefined],
  ["9000", { host: "127.0.0.1", port: 9000 }],
  ["0.0.0.0:9853", { host: "0.0.0.0", port: 9853 }],
])("--status %j", (text, expected) => {
  expect(statusOption.parse(text)).toEqual(expected);
});

test.each(["on", "127.0.0.1", "OFF", ""])("--status %j is refused, with what would be right", (text) => {
  const message = statusOption.safeParse(text).error?.issues[0]?.message;
  expect(message).toMatch(/not host:port, such as .*, nor "off"/);
});
