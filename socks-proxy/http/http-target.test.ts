import { describe, expect, test } from "vitest";

import { absoluteTarget, connectTarget } from "./http-target.ts";

const name = (text: string, port = 80) => ({ kind: "name", name: text, port });
const address = (text: string, port = 80) => ({ kind: "address", address: text, port });

describe("a target in absolute-form", () => {
  test.each([
    ["http://web.berth.internal/", name("web.berth.internal"), "web.berth.internal", "/"],
    ["http://web.berth.internal", name("web.berth.internal"), "web.berth.internal", "/"],
    ["HTTP://Web.Berth.Internal.:8080/a/../b%2f?c#", undefined, "", ""],
    [
      "HTTP://Web.Berth.Internal.:8080/a/../b%2f//?c",
      name("Web.Berth.Internal.", 8080),
      "Web.Berth.Internal.:8080",
      "/a/../b%2f//?c",
    ],
    ["http://web?q", name("web"), "web", "/?q"],
    ["http://web:/", name("web"), "web:", "/"],
    ["http://127.0.0.1:81/", address("127.0.0.1", 81), "127.0.0.1:81", "/"],
    ["http://[::1]/", address("::1"), "[::1]", "/"],
    ["http://[::ffff:127.0.0.1]:9/", address("127.0.0.1", 9), "[::ffff:127.0.0.1]:9", "/"],
    // As the system reads these is for the policy to see: here they are names.
    ["http://2130706433/", name("2130706433"), "2130706433", "/"],
    ["http://0x7f.1/", name("0x7f.1"), "0x7f.1", "/"],
    ["http://user@web/", undefined, "", ""],
    ["http://user:secret@web/", undefined, "", ""],
    ["http://web:0/", undefined, "", ""],
    ["http://web:65536/", undefined, "", ""],
    ["http://web:http/", undefined, "", ""],
    ["http://[web]/", undefined, "", ""],
    ["http://[::1/", undefined, "", ""],
    ["http://::1/", undefined, "", ""],
    ["http:///", undefined, "", ""],
    ["http://a\\b/", undefined, "", ""],
    ["http://a b/", undefined, "", ""],
    ["/", undefined, "", ""],
    ["*", undefined, "", ""],
    ["https://web/", undefined, "", ""],
  ])("%s", (target, destination, authority, path) => {
    const parsed = absoluteTarget("GET", target);
    if (destination === undefined) expect(parsed).toEqual({ fault: expect.not.stringMatching(/secret/) });
    else expect(parsed).toEqual({ destination, authority, path });
  });

  test("of OPTIONS without a path is the server as a whole (RFC 9112 §3.2.4)", () => {
    expect(absoluteTarget("OPTIONS", "http://web")).toMatchObject({ path: "*" });
    expect(absoluteTarget("OPTIONS", "http://web/")).toMatchObject({ path: "/" });
  });
});

test.each([
  ["web.berth.internal:443", name("web.berth.internal", 443)],
  ["[::1]:22", address("::1", 22)],
  ["10.0.0.1:22", address("10.0.0.1", 22)],
  ["web", undefined],
  ["web:", undefined],
  ["web:0", undefined],
  [":443", undefined],
  ["http://web:80", undefined],
  ["web:443/", undefined],
  ["u:p@web:443", undefined],
])("CONNECT %s", (target, destination) => {
  const parsed = connectTarget(target);
  if (destination === undefined) expect(parsed).toHaveProperty("fault");
  else expect(parsed).toMatchObject({ destination });
});
