import { describe, expect, test } from "vitest";

import { parseName } from "../../shared/name.ts";
import { blockOf } from "./address-block.ts";
import { parseRules } from "./policy-rules.ts";

function parsed(text: string) {
  const [rule] = parseRules([text]);
  return rule ?? expect.fail("no rule");
}

describe("a rule", () => {
  test.each([
    ["allow any", { kind: "any" }, undefined],
    ["deny private", { kind: "private" }, undefined],
    ["DENY Private:22", { kind: "private" }, [[22, 22]]],
    [
      "allow zone:80,443",
      { kind: "zone" },
      [
        [80, 80],
        [443, 443],
      ],
    ],
    [
      "deny outside:1-21,23-65535",
      { kind: "outside" },
      [
        [1, 21],
        [23, 65_535],
      ],
    ],
    ["allow loopback:*", { kind: "loopback" }, undefined],
    ["deny 10.0.0.0/8", { kind: "block", block: blockOf("10.0.0.0/8") }, undefined],
    ["deny 10.0.0.0/8:22", { kind: "block", block: blockOf("10.0.0.0/8") }, [[22, 22]]],
    ["allow 192.0.2.7:8080", { kind: "block", block: blockOf("192.0.2.7") }, [[8080, 8080]]],
    ["allow fd00::/8", { kind: "block", block: blockOf("fd00::/8") }, undefined],
    ["allow fd00::/8:22", { kind: "block", block: blockOf("fd00::/8") }, [[22, 22]]],
    ["allow [fd00::/8]:22", { kind: "block", block: blockOf("fd00::/8") }, [[22, 22]]],
    ["allow [fd00::]/8:22", { kind: "block", block: blockOf("fd00::/8") }, [[22, 22]]],
    ["allow [::1]", { kind: "block", block: blockOf("::1") }, undefined],
    ["allow [::1]:1-2", { kind: "block", block: blockOf("::1") }, [[1, 2]]],
    ["allow [::ffff:10.0.0.1]:1", { kind: "block", block: blockOf("10.0.0.1") }, [[1, 1]]],
    ["allow Web.Example.COM.", { kind: "name", name: parseName("web.example.com") }, undefined],
    ["deny *.example.com:25", { kind: "names-below", name: parseName("example.com") }, [[25, 25]]],
  ])("%s", (text, target, ports) => {
    const ranges = ports?.map(([first, last]) => ({ first, last }));
    expect(parsed(text)).toMatchObject({
      action: text.slice(0, 5).trim().toLowerCase(),
      target,
      ports: ranges,
      text,
    });
  });

  test.each([
    ["", /starts with "", not with allow or deny/],
    ["permit any", /starts with "permit", not with allow or deny/],
    ["deny", /does not say what to deny: an address, a network/],
    ["deny any 22", /"22" is too much: one target, and its ports after a colon/],
    ["deny any:", /"" is no port; ports are written 22, or 80,443, or 1000-2000, or \*/],
    ["deny any:0", /"0" is no port/],
    ["deny any:65536", /"65536" is no port/],
    ["deny any:2000-1000", /"2000-1000" is no port/],
    ["deny any:http", /"http" is no port/],
    ["deny any:80,,443", /"" is no port/],
    ["deny ::1:22", /an IPv6 address stands in brackets, as in \[fd00::1\]:22/],
    ["deny fd00::1", /an IPv6 address stands in brackets/],
    ["deny 10.0.0.0/33", /"10\.0\.0\.0\/33" is neither an IP address nor a network/],
    ["deny 10.0.0", /"10\.0\.0" is neither an IP address nor a network/],
    ["deny 2130706433", /"2130706433" is neither an IP address nor a network/],
    ["deny [web]:22", /"web" is neither an IP address nor a network/],
    ["deny 10.1.2.3/8", /10\.1\.2\.3\/8 has bits beyond its prefix; the network is 10\.0\.0\.0\/8/],
    ["deny web_.example", /"web_\.example" is none of these: an address, .*or any/],
    ["deny *.", /is none of these/],
    ["deny a*b.example", /is none of these/],
  ])("%j is refused with what would be right", (text, message) => {
    expect(() => parseRules([text])).toThrow(
      expect.objectContaining({ code: "bad-rule", message: expect.stringMatching(message) }),
    );
  });

  test("that is wrong is named among others", () => {
    expect(() => parseRules(["allow zone", "deny any:x"])).toThrow(/^rule "deny any:x": "x" is no port/);
  });

  test.each([
    ["allow any", false],
    ["allow outside", false],
    ["allow 0.0.0.0/0", false],
    ["allow 126.0.0.0/7", false],
    ["allow ::/0", false],
    ["allow loopback", true],
    ["allow private", true],
    ["allow 127.0.0.1:8080", true],
    ["allow 127.0.0.0/8", true],
    ["allow [::1]", true],
    ["allow dev.example", true],
    ["allow *.dev.example", true],
  ])("%s is meant for what the guard takes away: %s", (text, isExplicit) => {
    expect(parsed(text).isExplicit).toBe(isExplicit);
  });
});
