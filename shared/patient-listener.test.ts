import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";

import { listenFaultText, listenPatiently } from "./patient-listener.ts";

test("a taken port is told once, and had as soon as it is free", async () => {
  const taker = createServer().listen(0, "127.0.0.1");
  await once(taker, "listening");
  const { port } = taker.address() as AddressInfo;
  const told: string[] = [];
  const retries: (() => void)[] = [];
  const server = createServer();
  const close = await listenPatiently(server, {
    listen: { host: "127.0.0.1", port },
    retryMs: 15_000,
    after(ms, run) {
      expect(ms).toBe(15_000);
      retries.push(run);
      return () => void retries.splice(0);
    },
    opened: (isLate) => told.push(isLate ? "opened late" : "opened"),
    failed: (fault) => told.push(listenFaultText("there", fault, "--page")),
  });
  onTestFinished(close);
  retries.shift()?.();
  await expect.poll(() => retries.length).toBe(1);
  taker.close();
  await once(taker, "close");
  retries.shift()?.();
  await once(server, "listening");
  expect(told).toEqual([
    "there is in use by another program; it is tried again; choose another with --page HOST:PORT, or none with --page off",
    "opened late",
  ]);
});

test("closed while its port is taken, it tries no more", async () => {
  const taker = createServer().listen(0, "127.0.0.1");
  await once(taker, "listening");
  onTestFinished(() => void taker.close());
  const { port } = taker.address() as AddressInfo;
  let [waiting, opened] = [0, 0];
  const close = await listenPatiently(createServer(), {
    listen: { host: "127.0.0.1", port },
    retryMs: 1,
    after() {
      waiting++;
      return () => void waiting--;
    },
    opened: () => void opened++,
    failed: () => {},
  });
  expect(waiting).toBe(1);
  await close();
  expect([waiting, opened]).toEqual([0, 0]);
});
