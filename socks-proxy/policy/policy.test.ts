import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Destination } from "../../client/answers/destination.ts";
import { plainEndpoint, type Resolution } from "../../client/answers/resolution.ts";
import { type Address, parseAddress } from "../../shared/address.ts";
import { blockOf } from "./address-block.ts";
import { type Asked, judge, judgeResolution, type Policy } from "./policy.ts";
import { parseRules } from "./policy-rules.ts";

const here = "127.0.0.1" as Address;
const elsewhere = "192.0.2.50" as Address;

function policyOf(rules: string[] = [], outside: Policy["outside"] = "allow"): Policy {
  return { rules: parseRules(rules), outside };
}

function addressOf(text: string): Address {
  return parseAddress(text) ?? expect.fail(`${text} is no address`);
}

/** `host:port`; names below berth.internal lie in the zone. A host in quotes is sent as a name whatever it looks like. */
function askedOf(text: string, client: Address | undefined = here): Asked {
  const [, host = "", port] = /^(.*):(\d+)$/.exec(text) ?? expect.fail(text);
  const address = parseAddress(host.replace(/^\[(.*)\]$/, "$1"));
  const name = host.replace(/^"(.*)"$/, "$1");
  const destination: Destination =
    address === undefined
      ? { kind: "name", name, port: Number(port) }
      : { kind: "address", address, port: Number(port) };
  return { destination, inZone: /(^|\.)berth\.internal\.?$/i.test(name), client };
}

/** What becomes of addresses the destination resolves to: those that are left, or why there is none. */
function leftOf(
  policy: Policy,
  asked: Asked,
  addresses: string[],
  port = asked.destination.port,
): string[] | string {
  const judged = judgeResolution(policy, asked, plainEndpoint(addresses.map(addressOf), port, asked.inZone));
  if (judged.kind === "not-allowed") return judged.reason ?? "";
  return judged.kind === "endpoints"
    ? judged.endpoints.flatMap((endpoint) => endpoint.addresses)
    : judged.kind;
}

describe("before anything is resolved", () => {
  test.each<[string, string[], Policy["outside"], string, true | RegExp]>([
    ["a zone's name without rules", [], "deny", "web.berth.internal:80", true],
    ["another name without rules", [], "allow", "example.com:80", true],
    [
      "another name, outside denied",
      [],
      "deny",
      "example.com:80",
      /^destinations outside the zones are denied/,
    ],
    ["an address, outside denied", [], "deny", "192.0.2.1:80", /^destinations outside the zones are denied/],
    ["an address", [], "allow", "192.0.2.1:80", true],
    [
      "a denied name",
      ["deny example.com"],
      "allow",
      "example.com:80",
      /^denied by rule 1, "deny example\.com"$/,
    ],
    ["a denied name in other letters", ["deny example.com"], "allow", "EXAMPLE.com.:80", /^denied by rule 1/],
    ["a name below it", ["deny example.com"], "allow", "a.example.com:80", true],
    ["a name below a pattern", ["deny *.example.com"], "allow", "a.b.example.com:80", /rule 1/],
    ["the pattern's own name", ["deny *.example.com"], "allow", "example.com:80", true],
    ["a name that only ends alike", ["deny *.example.com"], "allow", "evilexample.com:80", true],
    ["another port of a denied one", ["deny example.com:22"], "allow", "example.com:80", true],
    ["the denied port", ["deny example.com:20-25"], "allow", "example.com:22", /rule 1/],
    ["the first rule that matches", ["allow example.com", "deny any"], "deny", "example.com:80", true],
    [
      "the second where the first does not",
      ["allow example.com", "deny any"],
      "allow",
      "a.com:1",
      /rule 2, "deny any"/,
    ],
    ["a zone's name under deny zone", ["deny zone:22"], "allow", "web.berth.internal:22", /rule 1/],
    ["a zone's name under deny outside", ["deny outside"], "allow", "web.berth.internal:80", true],
    ["an address under deny outside", ["deny outside"], "allow", "192.0.2.1:80", /rule 1/],
    ["a name that addresses may save", ["allow 10.0.0.0/8"], "deny", "example.com:80", true],
    ["a name that no address can save", ["deny private"], "deny", "example.com:80", /--outside deny/],
    [
      "a name that no address can save, by rule",
      ["deny private", "deny any"],
      "allow",
      "example.com:80",
      /rule 2/,
    ],
    [
      "a zone's name, as the port connected to is not known yet",
      ["allow 10.0.0.0/8:32768", "deny any"],
      "allow",
      "web.berth.internal:80",
      true,
    ],
    ["a name whose port is no rule's", ["allow 10.0.0.0/8:443"], "deny", "example.com:80", /--outside deny/],
    ["a private address", ["deny private"], "allow", "10.1.2.3:80", /rule 1, "deny private"/],
    ["a private address sent as a name", ["deny private"], "allow", '"10.1.2.3":80', /rule 1/],
    ["a private IPv6 address sent as a name", ["deny private"], "allow", '"[fd00::1]":80', /rule 1/],
    ["a link-local address", ["deny private"], "allow", "169.254.169.254:80", /rule 1/],
    ["a shared address (RFC 6598)", ["deny private"], "allow", "100.64.0.1:80", /rule 1/],
    ["a private one in NAT64", ["deny private"], "allow", "[64:ff9b::a00:1]:80", /rule 1/],
    ["a private one in 6to4", ["deny private"], "allow", "[2002:a00:1::]:80", /rule 1/],
    ["a public one in 6to4", ["deny private"], "allow", "[2002:808:808::]:80", true],
    [
      "a disguised one under an allow of the disguise",
      ["allow 2000::/3", "deny any"],
      "allow",
      "[2002:7f00:1::]:80",
      /rule 2/,
    ],
    [
      "a public one under an allow of its network",
      ["allow 2000::/3", "deny any"],
      "allow",
      "[2600::1]:80",
      true,
    ],
    ["a network's address", ["deny 192.0.2.0/24"], "allow", "192.0.2.9:80", /rule 1/],
    ["a name rule and an address", ["deny *.2.1"], "allow", "192.0.2.1:80", true],
  ])("%s", (_, rules, outside, text, wanted) => {
    const verdict = judge(policyOf(rules, outside), askedOf(text));
    if (wanted === true) expect(verdict).toEqual({ kind: "allowed" });
    else expect(verdict).toEqual({ kind: "denied", reason: expect.stringMatching(wanted) });
  });

  const ownAddresses = [
    "127.0.0.1:80",
    "127.9.9.9:80",
    "[::1]:80",
    "0.0.0.0:80",
    "[::]:80",
    "[64:ff9b::7f00:1]:80",
  ];
  test.each([...ownAddresses, "[2002:7f00:1::]:80", '"127.0.0.1":80', '"::ffff:127.0.0.1":80', "0.1.2.3:80"])(
    "%s, which is this machine, is for clients on it",
    (text) => {
      expect(judge(policyOf(), askedOf(text, here)).kind).toBe("allowed");
      for (const client of [elsewhere, undefined]) {
        expect(judge(policyOf(["allow any"]), { ...askedOf(text), client }).kind).toBe("denied");
      }
      expect(judge(policyOf(["deny loopback"]), askedOf(text, here)).kind).toBe("denied");
    },
  );

  test("a rule can open this machine to clients elsewhere", () => {
    expect(judge(policyOf(["allow 127.0.0.1:8080"]), askedOf("127.0.0.1:8080", elsewhere)).kind).toBe(
      "allowed",
    );
    expect(judge(policyOf(["allow 127.0.0.1:8080"]), askedOf("127.0.0.1:8081", elsewhere)).kind).toBe(
      "denied",
    );
  });

  test("the addresses the proxy hands out are for clients on this machine", () => {
    const policy = { ...policyOf(), ownBlocks: [blockOf("fd62:6572:7468::/64")] };
    expect(judge(policy, askedOf("[fd62:6572:7468::5]:80", here)).kind).toBe("allowed");
    expect(judge(policy, askedOf("[fd62:6572:7468::5]:80", elsewhere)).kind).toBe("denied");
  });
});

describe("once addresses are known", () => {
  /** What getaddrinfo(3) makes of them is what counts, so the name's text is left alone. */
  test.each(["rebind.example", "2130706433", "0x7f.1", "017700000001", "127.1", "0", "localhost.example"])(
    "the name %s does not lead to this machine or its link",
    (name) => {
      const asked = askedOf(`"${name}":80`);
      const inner = [
        "127.0.0.1",
        "127.64.0.5",
        "::1",
        "0.0.0.0",
        "0.0.0.9",
        "::",
        "169.254.169.254",
        "fe80::1",
      ];
      const disguised = [
        "::ffff:127.0.0.1",
        "::7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00::",
      ];
      for (const address of [...inner, ...disguised, "2002:a9fe:a9fe::", "2001:0:1:1:1:1:80ff:fffe"]) {
        expect(leftOf(policyOf(), asked, [address])).toMatch(/DNS rebinding/);
        expect(leftOf(policyOf(["allow any"]), asked, [address])).toMatch(/DNS rebinding/);
        expect(leftOf(policyOf(["allow 0.0.0.0/0", "allow ::/0"]), asked, [address])).toMatch(
          /DNS rebinding/,
        );
      }
      expect(leftOf(policyOf(), asked, ["127.0.0.1", "198.51.100.7", "::1"])).toEqual(["198.51.100.7"]);
    },
  );

  test.each(["localhost", "LOCALHOST.", "app.localhost"])("%s is this machine, for clients on it", (name) => {
    expect(leftOf(policyOf(), askedOf(`${name}:80`, here), ["127.0.0.1", "::1"])).toEqual([
      "127.0.0.1",
      "::1",
    ]);
    expect(leftOf(policyOf(), askedOf(`${name}:80`, elsewhere), ["127.0.0.1"])).toMatch(
      /clients on this machine only/,
    );
  });

  test("a zone's name leads to this machine for clients on it alone, or for whom a rule says so", () => {
    const policy = policyOf(["allow zone", "allow any"]);
    for (const client of [elsewhere, undefined]) {
      const asked = { ...askedOf("web.berth.internal:80"), client };
      for (const own of ["127.0.0.1", "127.9.9.9", "::1", "::7f00:1", "64:ff9b::7f00:1"]) {
        expect(leftOf(policy, asked, [own])).toMatch(/clients on this machine only/);
      }
      expect(leftOf(policy, asked, ["127.0.0.1", "10.0.0.1"])).toEqual(["10.0.0.1"]);
      for (const rule of ["allow loopback", "allow 127.0.0.1", "allow *.berth.internal"]) {
        expect(leftOf(policyOf([rule]), asked, ["127.0.0.1"])).toEqual(["127.0.0.1"]);
      }
    }
    expect(leftOf(policy, askedOf("web.berth.internal:80", here), ["127.0.0.1", "::1"])).toHaveLength(2);
  });

  test("deny private is about names of a zone as well, unless a rule before it lets these", () => {
    const asked = askedOf("web.shop.berth.internal:80");
    expect(leftOf(policyOf(["deny private"]), asked, ["10.0.0.5"])).toMatch(/rule 1, "deny private"/);
    const policy = policyOf(["allow zone", "deny private"]);
    expect(leftOf(policy, asked, ["10.0.0.5"])).toEqual(["10.0.0.5"]);
    expect(leftOf(policy, askedOf("10.0.0.5:80"), ["10.0.0.5"])).toMatch(/rule 2, "deny private"/);
    expect(leftOf(policy, askedOf("nas.example:80"), ["10.0.0.5"])).toMatch(/rule 2, "deny private"/);
  });

  test("a zone's name may lead to private and loopback addresses, not to nowhere nor to ourselves", () => {
    const asked = askedOf("web.berth.internal:80");
    expect(leftOf(policyOf([], "deny"), asked, ["10.0.0.1", "127.0.0.1", "fd00::1"])).toHaveLength(3);
    expect(leftOf(policyOf(), asked, ["0.0.0.0"])).toMatch(/no address of a container host/);
    const policy = { ...policyOf(), ownBlocks: [blockOf("127.64.0.0/10")] };
    expect(leftOf(policy, asked, ["127.64.0.9", "10.0.0.1"])).toEqual(["10.0.0.1"]);
    const ula = { ...policyOf(), ownBlocks: [blockOf("fd62:6572:7468::/64")] };
    expect(leftOf(ula, askedOf("rebind.example:80"), ["fd62:6572:7468::9"])).toMatch(/DNS rebinding/);
  });

  test.each<[string, string[], string[] | RegExp]>([
    ["all are left without rules", [], ["10.0.0.1", "192.0.2.1", "fd00::1"]],
    ["the denied are taken away", ["deny private"], ["192.0.2.1"]],
    ["an earlier allow saves one", ["allow 10.0.0.1", "deny private"], ["10.0.0.1", "192.0.2.1"]],
    ["a later one does not", ["deny private", "allow 10.0.0.1"], ["192.0.2.1"]],
    [
      "a rule on the name comes first where it stands first",
      ["allow example.com", "deny private"],
      ["10.0.0.1", "192.0.2.1", "fd00::1"],
    ],
    [
      "the reason is the first address's",
      ["deny 10.0.0.0/8", "deny any"],
      /^denied by rule 1, "deny 10\.0\.0\.0\/8"$/,
    ],
    ["other ports are not meant", ["deny private:22"], ["10.0.0.1", "192.0.2.1", "fd00::1"]],
  ])("%s", (_, rules, wanted) => {
    const left = leftOf(policyOf(rules), askedOf("example.com:80"), ["10.0.0.1", "192.0.2.1", "fd00::1"]);
    if (wanted instanceof RegExp) expect(left).toMatch(wanted);
    else expect(left).toEqual(wanted);
  });

  test("an answer of the system's is no answer of the zone's, whatever the name was taken for", () => {
    const found = plainEndpoint([addressOf("127.0.0.1")], 80, false);
    const judged = judgeResolution(policyOf(), askedOf("web.berth.internal:80"), found);
    expect(judged).toMatchObject({ kind: "not-allowed", reason: expect.stringMatching(/DNS rebinding/) });
  });

  test("outside denied leaves what a rule allows", () => {
    expect(
      leftOf(policyOf(["allow 10.0.0.0/8"], "deny"), askedOf("a.example:80"), ["10.0.0.1", "192.0.2.1"]),
    ).toEqual(["10.0.0.1"]);
    expect(leftOf(policyOf(["allow 10.0.0.0/8"], "deny"), askedOf("a.example:80"), ["192.0.2.1"])).toMatch(
      /--outside/,
    );
  });

  test.each(["allow loopback", "allow 127.0.0.0/8", "allow rebind.example", "allow *.example"])(
    "%s lets a name lead to loopback",
    (rule) => {
      expect(leftOf(policyOf([rule]), askedOf("rebind.example:80"), ["127.0.0.1"])).toEqual(["127.0.0.1"]);
    },
  );

  test("a rule on addresses looks at the port connected to, one on names at the port asked for", () => {
    const asked = askedOf("web.berth.internal:80");
    expect(leftOf(policyOf(["deny private:22"]), asked, ["10.0.0.1"], 22)).toMatch(/rule 1/);
    expect(leftOf(policyOf(["deny private:80"]), asked, ["10.0.0.1"], 32768)).toEqual(["10.0.0.1"]);
    expect(leftOf(policyOf(["deny zone:80"]), asked, ["10.0.0.1"], 32768)).toMatch(/rule 1/);
    expect(leftOf(policyOf(["deny zone:32768"]), asked, ["10.0.0.1"], 32768)).toEqual(["10.0.0.1"]);
  });

  test("priorities and weights stay, and endpoints without an address go", () => {
    const [ten, one] = ["10.0.0.1", "192.0.2.1"].map(addressOf) as [Address, Address];
    const resolution: Resolution = {
      kind: "endpoints",
      inZone: true,
      endpoints: [
        { addresses: [ten], port: 1, priority: 1, weight: 2 },
        { addresses: [ten, one], port: 3, priority: 4, weight: 5 },
      ],
    };
    expect(judgeResolution(policyOf(["deny private"]), askedOf("web.berth.internal:80"), resolution)).toEqual(
      {
        kind: "endpoints",
        inZone: true,
        endpoints: [{ addresses: [one], port: 3, priority: 4, weight: 5 }],
      },
    );
  });

  test("what is no list of endpoints, or loses nothing, is passed on as it is", () => {
    const missing: Resolution = { kind: "not-found", reason: "x" };
    expect(judgeResolution(policyOf(["deny any"]), askedOf("a.example:1"), missing)).toBe(missing);
    const found = plainEndpoint([addressOf("192.0.2.1")], 1, false);
    expect(judgeResolution(policyOf(), askedOf("a.example:1"), found)).toBe(found);
  });
});

describe("any list of rules", () => {
  const targets = [
    "any",
    "zone",
    "outside",
    "private",
    "loopback",
    "10.0.0.0/8",
    "192.0.2.1",
    "a.example",
    "*.example",
  ];
  const anyRule = fc
    .tuple(
      fc.constantFrom("allow", "deny"),
      fc.constantFrom(...targets),
      fc.constantFrom("", ":80", ":1-79", ":80,443"),
    )
    .map(([action, target, ports]) => `${action} ${target}${ports}`);
  const anyRules = fc.array(anyRule, { maxLength: 6 });
  const anyAsked = fc
    .constantFrom(
      "a.example:80",
      "b.example:443",
      "web.berth.internal:80",
      "10.0.0.1:80",
      "192.0.2.1:22",
      "127.0.0.1:80",
    )
    .map((text) => askedOf(text));
  const anyAddress = fc.constantFrom("10.0.0.1", "192.0.2.1", "127.0.0.1", "198.51.100.1", "fd00::1");

  test("is decided by its first match: what follows it changes nothing", () => {
    fc.assert(
      fc.property(anyRules, anyRules, anyAsked, anyAddress, (rules, more, asked, address) => {
        const before = leftOf(policyOf(rules, "deny"), asked, [address]);
        const decided =
          typeof before === "string"
            ? /by rule/.test(before)
            : rules.length > 0 && asked.destination.kind === "name" && !asked.inZone;
        fc.pre(decided);
        expect(leftOf(policyOf([...rules, ...more], "deny"), asked, [address])).toEqual(before);
      }),
    );
  });

  test("says the same to one address whether judged alone or among others", () => {
    fc.assert(
      fc.property(anyRules, anyAsked, fc.uniqueArray(anyAddress), (rules, asked, addresses) => {
        fc.pre(addresses.length > 0);
        const alone = addresses.filter((address) => Array.isArray(leftOf(policyOf(rules), asked, [address])));
        const together = leftOf(policyOf(rules), asked, addresses);
        expect(Array.isArray(together) ? together : []).toEqual(alone);
      }),
    );
  });

  test("never denies beforehand what an address would have been allowed for", () => {
    fc.assert(
      fc.property(
        anyRules,
        fc.constantFrom("allow", "deny"),
        anyAsked,
        anyAddress,
        (rules, outside, asked, address) => {
          fc.pre(asked.destination.kind === "name");
          const policy = policyOf(rules, outside as Policy["outside"]);
          if (judge(policy, asked).kind === "denied")
            expect(typeof leftOf(policy, asked, [address])).toBe("string");
        },
      ),
    );
  });

  test("with a last word of deny any lets through only what an allow before it names", () => {
    fc.assert(
      fc.property(anyRules, anyAsked, anyAddress, (rules, asked, address) => {
        const denies = rules.filter((rule) => rule.startsWith("deny"));
        expect(typeof leftOf(policyOf([...denies, "deny any"]), asked, [address])).toBe("string");
      }),
    );
  });

  test("depends on its order", () => {
    const asked = askedOf("a.example:80");
    const rules = ["allow a.example", "deny any"];
    expect(judge(policyOf(rules), asked).kind).not.toBe(judge(policyOf(rules.toReversed()), asked).kind);
  });
});
