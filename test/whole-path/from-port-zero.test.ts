import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

import { datagramToIpv4 } from "../../socks-proxy/testing/udp-client.ts";
import { createNetns, type Netns, randomSuffix } from "../testbed/netns.ts";
import { runCommand, startProcess } from "../testbed/process.ts";
import type { StartedProcess } from "../testbed/started-process.ts";
import { sendFromPortZero } from "./from-port-zero.ts";

const main = fileURLToPath(new URL("udp-main.ts", import.meta.url));
const loopback = "127.0.0.1";

let netns: Netns;
let carriers: StartedProcess;

beforeAll(async () => {
  netns = await createNetns(`berth-z-${randomSuffix()}`);
  carriers = startProcess([process.execPath, main], { netns: netns.name });
});

afterAll(async () => {
  await carriers?.stop();
  await netns?.remove();
});

test("an agent's relay drops a datagram from port 0, to which no answer can go, and serves on", async () => {
  const at = { address: loopback, port: await portOf("relay") };
  await sendFromPortZero(netns.name, { ...at, payload: "relay from nowhere" });
  expect(await answerAt(at.port, "relay next")).toBe("relay next");
  expect(heard("relay")).toEqual(["heard relay next"]);
});

test("an association drops a datagram from port 0, which is not its client's, and serves its client", async () => {
  const echo = await portOf("echo");
  const at = { address: loopback, port: await portOf("association") };
  const [portless, next] = ["socks from nowhere", "socks next"].map((text) =>
    datagramToIpv4(loopback, echo, text),
  ) as [Buffer, Buffer];
  await sendFromPortZero(netns.name, { ...at, payload: portless });
  expect(await answerAt(at.port, next)).toContain("socks next");
  expect(heard("socks")).toEqual(["heard socks next"]);
});

async function portOf(part: "echo" | "relay" | "association"): Promise<number> {
  const line = await carriers.waitForLine(new RegExp(`^${part} \\d+$`));
  return Number(line.slice(part.length));
}

async function answerAt(port: number, input: string | Uint8Array): Promise<string> {
  const argv = ["socat", "-t", "2", "-", `UDP4:${loopback}:${port}`];
  return (await runCommand(argv, { netns: netns.name, input })).stdout;
}

/** In the order of their arrival: what was sent first has been heard, or never will be. */
function heard(of: string): string[] {
  return carriers.lines.filter((line) => line.startsWith(`heard ${of}`));
}
