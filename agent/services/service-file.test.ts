import { describe, expect, it } from "vitest";

import { zone } from "../testing/builders.ts";
import { servicesFromText } from "./service-file.ts";

describe("a file of services", () => {
  it("declares a service in two lines, checked by a connect", () => {
    expect(read('[[service]]\nname = "db.lab"\nport = 5432')).toEqual({
      services: [
        {
          id: "db.toml#1",
          names: ["db.lab.berth.internal."],
          protocol: "tcp",
          servicePort: 5432,
          port: 5432,
          addresses: undefined,
          check: { httpPath: undefined, intervalMs: 10_000, timeoutMs: 3_000 },
          tls: false,
          txt: [],
          priority: 0,
          weight: 1,
        },
      ],
      problems: [],
    });
  });

  it("takes every setting", () => {
    const { services, problems } = read(`
      [[service]]
      name = "web.lab"
      names = ["www.lab.berth.internal", "web.lab"]
      port = 8443
      service-port = 443
      address = "10.0.0.5"
      check = "http:/health?deep=1"
      interval = 30
      tls = true
      txt = { version = 2, path = "/", fast = true }
      priority = 10
      weight = 5
    `);
    expect(problems).toEqual([]);
    expect(services).toMatchObject([
      {
        names: ["web.lab.berth.internal.", "www.lab.berth.internal."],
        servicePort: 443,
        port: 8443,
        addresses: ["10.0.0.5"],
        check: { httpPath: "/health?deep=1", intervalMs: 30_000 },
        tls: true,
        txt: ["fast=true", "path=/", "version=2"],
        priority: 10,
        weight: 5,
      },
    ]);
  });

  it("checks no UDP service, and none that says off", () => {
    const { services, problems } = read(`
      [[service]]
      name = "dns"
      port = 53
      protocol = "udp"
      [[service]]
      name = "db"
      port = 5432
      check = "off"
    `);
    expect(problems).toEqual([]);
    expect(services?.map(({ id, check }) => [id, check])).toEqual([
      ["db.toml#1", undefined],
      ["db.toml#2", undefined],
    ]);
  });

  it("declares nothing when it is empty, or only comments", () => {
    expect(read("")).toEqual({ services: [], problems: [] });
    expect(read("# later\n")).toEqual({ services: [], problems: [] });
  });
});

describe("what is wrong in it", () => {
  it.each([
    ["port = 99999", "port is 99999 and not a whole number of 1 to 65535"],
    ["port = 0", "port is 0 and not a whole number of 1 to 65535"],
    ['port = "80"', "port is not a whole number of 1 to 65535"],
    ["", "port is missing; it is a whole number of 1 to 65535"],
    ["port = 80\nservice-port = 8.5", "service-port is not a whole number of 1 to 65535"],
    ['port = 80\nprotocol = "sctp"', 'protocol is neither "tcp" nor "udp"'],
    ['port = 80\naddress = "db.example"', 'address "db.example" is not an IP address clients can connect to'],
    ['port = 80\naddress = "0.0.0.0"', 'address "0.0.0.0" is not an IP address clients can connect to'],
    ['port = 80\ncheck = "http:health"', 'check "http:health" is no check berth knows; give "tcp", "off" or'],
    ['port = 80\ncheck = "http:/a b"', 'check "http:/a b" is no check berth knows'],
    ["port = 80\ninterval = 0", "interval is 0 and not a whole number of 1 to 3600"],
    ['port = 80\ntls = "yes"', "tls is neither true nor false"],
    ["port = 80\nweight = -1", "weight is -1 and not a whole number of 0 to 65535"],
    ['port = 80\ntxt = "a=b"', "txt is not a table of texts"],
    ["port = 80\ntxt = { a = [1] }", "txt.a is neither a text, a number nor true or false"],
    ['port = 80\ntxt = { "a=b" = "c", A = "1", a = "2" }', "txt has a key twice"],
    [`port = 80\ntxt = { a = "${"x".repeat(254)}" }`, 'txt "a" is longer than 255 octets'],
    ['port = 80\ntxt = { "\u00e9" = "1" }', 'txt "é" is not key=value'],
    ["port = 80\nprot = 5", 'berth knows no "prot"; it knows name, names, port, service-port, protocol,'],
    ["port = 80\n__proto__ = { a = 1 }", 'berth knows no "__proto__"'],
    ['port = 80\nprotocol = "udp"\ncheck = "tcp"', "check: a udp service cannot be checked; remove the line"],
  ])("is named, with what would be right: %j", (lines, words) => {
    const { services, problems } = read(`# the lab\n[[service]]\nname = "db.lab"\n${lines}`);
    expect(services).toEqual([]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ container: "db.toml", code: "bad-service" });
    expect(problems[0]?.message.startsWith(`line 2 (service 1): ${words}`)).toBe(true);
  });

  it.each([
    ["", "it has no name; give it one"],
    ['name = "a b"', 'the name "a b" cannot be used'],
    ['name = "db.example."', "it is not in the zone berth.internal"],
    ['names = ["ok", 5]', "names[2] is not a text"],
    ['name = "x.host"', 'the name "x.host" cannot be used'],
    [`names = [${'"a",'.repeat(65)}]`, "it has 65 names, and a service may have 64"],
  ])("is said of names: %j", (line, words) => {
    const { services, problems } = read(`[[service]]\n${line}\nport = 80`);
    expect(services).toEqual([]);
    expect(problems[0]?.message).toContain(words);
  });

  it("leaves the entries beside it alone, which keep their numbers", () => {
    const good = (name: string) => `[[service]]\nname = "${name}"\nport = 1\n`;
    const { services, problems } = read(`${good("a")}[[service]]\nname = "b"\n${good("c")}`);
    expect(services?.map(({ id }) => id)).toEqual(["db.toml#1", "db.toml#3"]);
    expect(problems.map(({ message }) => message)).toEqual([
      "line 4 (service 2): port is missing; it is a whole number of 1 to 65535",
    ]);
  });

  it("is found by line where the text is no TOML", () => {
    const { services, problems } = read('[[service]]\nname = "a\nport = 1');
    expect(services).toBeUndefined();
    expect(problems).toMatchObject([{ container: "db.toml", code: "bad-service-file" }]);
    expect(problems[0]?.message).toMatch(/^line 2, column \d+: it is not TOML: /);
  });

  it.each([
    ['[service]\nname = "a"', undefined, "write [[service]], in two pairs of brackets"],
    ["service = 5", undefined, "write [[service]], in two pairs of brackets"],
    ["[[services]]", [], "berth knows nothing called services here"],
    ["service = [1]", [], "service 1: it is not a table"],
  ])("is the shape of the file: %j", (text, expected, words) => {
    const { services, problems } = read(text);
    expect(services).toEqual(expected);
    expect(problems[0]?.message).toContain(words);
  });

  it("does not take a line inside a text for the beginning of a service", () => {
    const { problems } = read('[[service]]\nname = """\n[[service]]\n"""\nport = 1');
    expect(problems[0]?.message).toMatch(/^service 1: the name/);
  });

  it("is short enough to be pushed, whatever the file holds", () => {
    const { problems } = read(`[[service]]\nname = "${"x".repeat(100_000)}"\n${"y".repeat(5_000)} = 1`);
    expect(problems.every(({ message }) => message.length <= 500)).toBe(true);
    expect(problems).toHaveLength(1);
  });

  it("never breaks the reader, whatever the text", () => {
    const pieces = [
      "[[",
      "]]",
      "service",
      "=",
      '"',
      "'''",
      "\n",
      "{",
      "}",
      "1e9",
      "nan",
      "-",
      ".",
      "\0",
      "\u2028",
    ];
    for (let seed = 1; seed < 2_000; seed++) {
      let state = seed;
      const text = Array.from({ length: 12 }, () => {
        state = (state * 48_271) % 2_147_483_647;
        return pieces[state % pieces.length];
      }).join("");
      expect(() => read(text)).not.toThrow();
      expect(() => read(`[[service]]\nname="a"\nport=1\n${text}`)).not.toThrow();
    }
  });
});

function read(text: string) {
  return servicesFromText("db.toml", text, zone);
}
