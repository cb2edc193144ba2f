import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

import { serviceRecords } from "./testing/doh-server.ts";
import { fileWith, soon, startStubBed } from "./testing/stub-bed.ts";

const name = "web.berth.internal";
const records = serviceRecords(name, 80, [{ address: "10.0.0.5", port: 32768 }]);

test("a program that only resolved a name ends by itself, though changes are followed and zones are asked for", {
  timeout: 60_000,
}, async () => {
  const { resolver } = await startStubBed({ records });
  resolver.token = "secret";
  const settings = { resolver: [resolver.url], tokenFile: fileWith("secret\n"), resolveTimeoutMs: 20_000 };
  const program = fileWith(programOf(settings), "program.ts");
  const child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
  const [shown, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  expect([shown, code]).toEqual(["endpoints 32768 following\n", 0]);
  await soon(() => expect(resolver.readers).toEqual([]));
});

test("a program that waits for an answer does not end before it", { timeout: 60_000 }, async () => {
  const { resolver } = await startStubBed({ records });
  const { promise, resolve: answerNow } = Promise.withResolvers<void>();
  resolver.held = promise;
  const settings = { resolver: [resolver.url], zone: ["berth.internal."], resolveTimeoutMs: 20_000 };
  const program = fileWith(programOf(settings), "program.ts");
  const child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
  await soon(() => expect(resolver.connections()).toBe(1));
  answerNow();
  const [shown, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  expect([shown, code]).toEqual(["endpoints 32768 off\n", 0]);
});

/** Resolves the name, waits for the feed where there is one, says what came of it, and leaves all open. */
function programOf(settings: object): string {
  const module = fileURLToPath(new URL("./create-stub-resolver.ts", import.meta.url));
  return `
import { createStubResolver } from ${JSON.stringify(module)};
const log = { debug() {}, info() {}, warn() {}, error() {} };
const stub = createStubResolver(${JSON.stringify(settings)}, { log });
const found = await stub.resolve({ kind: "name", name: "${name}", port: 80 }, {});
while (stub.status().feed === "broken") await new Promise((resolve) => setTimeout(resolve, 10));
console.log(found.kind, found.endpoints?.[0].port, stub.status().feed);
`;
}
