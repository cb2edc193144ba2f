import { describe, expect, it } from "vitest";

import { plainFile, withoutServer, withServer } from "./dns-resolv-conf.ts";
import { FakeNameMachine } from "./testing/fake-name-machine.ts";

const server = { host: "127.64.0.1", port: 53 };
const setting = { zones: [], server };
const path = "/etc/resolv.conf";
const originals = [
  "# ours\nsearch corp.example\nnameserver 192.0.2.1\noptions ndots:2\n",
  "nameserver 192.0.2.1",
  "",
  "\n\n",
  "search corp.example\r\nnameserver 192.0.2.1\r\n",
];

describe("our server in a resolv.conf", () => {
  it("stands before the others, which stay as they are", () => {
    const text = withServer("search corp.example\nnameserver 192.0.2.1\n", setting);
    expect(text.split("\n").filter((line) => !line.startsWith("#"))).toEqual([
      "nameserver 127.64.0.1",
      "search corp.example",
      "nameserver 192.0.2.1",
      "",
    ]);
  });

  it.each(originals)("goes without a trace: %j", (original) => {
    expect(withoutServer(withServer(original, setting))).toBe(original);
  });

  it("goes with the file where there was none", () => {
    const text = withServer(undefined, setting);
    expect(withoutServer(text)).toBe(undefined);
    expect(withoutServer(withServer(text, setting))).toBe(undefined);
    expect(withoutServer(`${text}nameserver 192.0.2.1\n`)).toBe("nameserver 192.0.2.1\n");
  });

  it("leaves the one the C library takes where none is named", () => {
    expect(withServer("search corp.example\n", setting)).toMatch(/127\.64\.0\.1\nnameserver 127\.0\.0\.1\n/);
  });

  it("is in it once, however often it is put there, and with the address of the last time", () => {
    const once = withServer(originals[0], setting);
    expect(withServer(once, setting)).toBe(once);
    const moved = withServer(once, { server: { host: "127.64.0.2", port: 53 } });
    expect(moved).not.toContain("127.64.0.1");
    expect(withoutServer(moved)).toBe(originals[0]);
  });

  it("goes alone from a file that others have changed since", () => {
    const text = withServer("nameserver 192.0.2.1\n", setting);
    const changed = `search new.example\n${text.replace("192.0.2.1", "192.0.2.9")}options rotate\n`;
    expect(withoutServer(changed)).toBe("search new.example\nnameserver 192.0.2.9\noptions rotate\n");
  });

  it("goes from a file somebody took the end of our lines out of", () => {
    const text = withServer("nameserver 192.0.2.1\n", setting).replace(/# berth: end\n/, "");
    expect(withoutServer(text)).toBe("nameserver 192.0.2.1\n");
  });

  it("is refused at a port, which no such file can say", () => {
    expect(() => withServer("", { server: { host: "127.64.0.1", port: 5353 } })).toThrow(/no ports/);
  });
});

describe("a resolv.conf as a machine's name resolution", () => {
  it("is planned and taken back", () => {
    const machine = new FakeNameMachine({ [path]: "nameserver 192.0.2.1\n" });
    const [change] = plainFile.install(setting, machine);
    expect(change).toMatchObject({ kind: "write", path, was: "nameserver 192.0.2.1\n" });
    machine.files.set(path, change?.kind === "write" ? change.text : "");
    expect(plainFile.install(setting, machine)).toEqual([]);
    expect(plainFile.installed(machine)).toEqual({ zones: undefined, server });
    expect(plainFile.remove(machine)).toMatchObject([{ kind: "write", text: "nameserver 192.0.2.1\n" }]);
  });

  it("is left alone where it is a link to what another program writes", () => {
    const machine = new FakeNameMachine({ "/run/resolvconf/resolv.conf": "nameserver 192.0.2.1\n" });
    machine.links.set(path, "/run/resolvconf/resolv.conf");
    expect(() => plainFile.install(setting, machine)).toThrow(/is a link to \/run\/resolvconf/);
    expect(plainFile.remove(machine)).toEqual([]);
  });

  it("is nothing of ours before and after", () => {
    const machine = new FakeNameMachine({ [path]: "nameserver 192.0.2.1\n" });
    expect(plainFile.installed(machine)).toBe(undefined);
    expect(plainFile.remove(machine)).toEqual([]);
    expect(plainFile.remove(new FakeNameMachine())).toEqual([]);
  });
});
