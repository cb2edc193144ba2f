import { describe, expect, test } from "vitest";

import type { Destination } from "../../client/answers/destination.ts";
import { plainEndpoint, type Resolution } from "../../client/answers/resolution.ts";
import type { NamePorts } from "../../client/stub-resolver.ts";
import { addressOf } from "../../client/testing/doh-server.ts";
import { type Name, parseName } from "../../shared/name.ts";
import { answerResolve, type ResolvePorts } from "./resolve-command.ts";
import { createStandIns } from "./stand-ins.ts";
import { Command } from "./wire.ts";

const zone = parseName("berth.internal");
const web = parseName("web.berth.internal");
const somewhere = plainEndpoint([addressOf("10.0.0.5")], 0, false);
const gone: NamePorts = { kind: "none", answer: undefined };

describe("RESOLVE", () => {
  test("answers a service's name with a stand-in for it", async () => {
    const ports = testPorts({
      portsOf: async () => ({ kind: "ports", ports: [{ protocol: "tcp", port: 80 }] }),
    });
    const standIn = ports.standIns.addressFor(web);
    expect(await resolved("Web.berth.internal", ports)).toBe(standIn);
  });

  test("answers a container host's own name, and one outside the zones, with a true address, IPv4 first", async () => {
    const ports = testPorts({
      resolution: plainEndpoint(["2001:db8::5", "10.0.0.5"].map(addressOf), 0, false),
    });
    expect(await resolved("nas.host.berth.internal", ports)).toBe("10.0.0.5");
    expect(await resolved("example.com", ports)).toBe("10.0.0.5");
    const onlyIpv6 = testPorts({ resolution: plainEndpoint([addressOf("2001:db8::5")], 0, false) });
    expect(await resolved("example.com", onlyIpv6)).toBe("2001:db8::5");
  });

  test("answers an address with itself", async () => {
    const destination: Destination = { kind: "address", address: addressOf("10.0.0.5"), port: 0 };
    expect(await answer(Command.Resolve, destination, testPorts({}))).toMatchObject({ text: "10.0.0.5" });
  });

  test("refuses a name nobody has, a bad one, and what the policy denies", async () => {
    expect(
      await answer(Command.Resolve, named("nobody.berth.internal"), testPorts({ portsOf: async () => gone })),
    ).toMatchObject({ kind: "not-found" });
    expect(await answer(Command.Resolve, named("_80._tcp.web!.berth.internal"), testPorts({}))).toMatchObject(
      { kind: "bad-name" },
    );
    const denying = testPorts({ resolution: { kind: "not-allowed" } });
    expect(await answer(Command.Resolve, named("example.com"), denying)).toEqual({ kind: "not-allowed" });
    const failure = { kind: "no-answer", reason: "down" } as const;
    const failing = testPorts({ portsOf: async () => ({ kind: "failed", failure }) });
    expect(await answer(Command.Resolve, named("web.berth.internal"), failing)).toBe(failure);
  });

  test("is answered in the protocol it came in", async () => {
    const ports = testPorts({ resolution: plainEndpoint([addressOf("10.0.0.5")], 0, false) });
    const request = { command: Command.Resolve, destination: named("example.com"), user: undefined };
    expect(await answerResolve({ ...request, protocol: "socks5" }, ports)).toMatchObject({
      reply: Uint8Array.of(5, 0, 0, 1, 10, 0, 0, 5, 0, 0),
    });
    expect(await answerResolve({ ...request, protocol: "socks4" }, ports)).toMatchObject({
      reply: Uint8Array.of(0, 90, 0, 0, 10, 0, 0, 5),
    });
  });
});

describe("RESOLVE_PTR", () => {
  const at = (text: string): Destination => ({ kind: "address", address: addressOf(text), port: 0 });

  test("answers a stand-in with the name it stands for", async () => {
    const ports = testPorts({});
    const address = ports.standIns.addressFor(web);
    expect(await answer(Command.ResolvePtr, at(address), ports)).toMatchObject({
      text: "web.berth.internal",
      reply: Uint8Array.of(5, 0, 0, 3, 18, ...Buffer.from("web.berth.internal"), 0, 0),
    });
  });

  test("answers other addresses with what the system calls them", async () => {
    const ports = testPorts({ resolution: somewhere, reverse: async () => "one.example" });
    expect(await answer(Command.ResolvePtr, at("10.0.0.5"), ports)).toMatchObject({ text: "one.example" });
  });

  test("refuses an address without a name, a stand-in of old, and a name", async () => {
    const kindOf = async (destination: Destination, ports: ResolvePorts) =>
      (await answer(Command.ResolvePtr, destination, ports)).kind;
    expect(await kindOf(at("10.0.0.5"), testPorts({ resolution: somewhere }))).toBe("not-found");
    expect(await kindOf(at("240.0.0.1"), testPorts({ reverse: async () => "wrong" }))).toBe("not-found");
    expect(await kindOf(named("web"), testPorts({}))).toBe("malformed-request");
    const failing = testPorts({ resolution: somewhere, reverse: () => Promise.reject(new Error("down")) });
    expect(await kindOf(at("10.0.0.5"), failing)).toBe("no-answer");
  });
});

test("nobody is asked about an address that the policy denies", async () => {
  const reverse = () => expect.fail("asked");
  const ports = testPorts({ resolution: { kind: "not-allowed" }, reverse });
  const destination: Destination = { kind: "address", address: addressOf("10.0.0.5"), port: 0 };
  expect(await answer(Command.ResolvePtr, destination, ports)).toEqual({ kind: "not-allowed" });
});

function named(name: string): Destination {
  return { kind: "name", name, port: 0 };
}

function answer(command: number, destination: Destination, ports: ResolvePorts) {
  return answerResolve({ protocol: "socks5", command, destination, user: undefined }, ports);
}

async function resolved(name: string, ports: ResolvePorts): Promise<string> {
  const outcome = await answer(Command.Resolve, named(name), ports);
  return outcome.kind === "resolved" ? outcome.text : expect.fail(outcome.kind);
}

interface TestAnswers {
  resolution?: Resolution;
  portsOf?: (name: Name) => Promise<NamePorts>;
  reverse?: ResolvePorts["reverse"];
}

/** What a test does not name is not to be asked. */
function testPorts({ resolution, portsOf, reverse }: TestAnswers): ResolvePorts {
  return {
    stub: {
      zoneOf: (text) => (text.toLowerCase().endsWith("berth.internal") ? zone : undefined),
      resolve: async () => resolution ?? expect.fail("no resolution"),
      portsOf: (name) => portsOf?.(name) ?? expect.fail("no ports"),
    },
    standIns: createStandIns(),
    reverse: reverse ?? (async () => undefined),
    signal: new AbortController().signal,
  };
}
