import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { findEngine, isUsable } from "./local-engine.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-t-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("an engine", () => {
  test("that answers is usable", async () => {
    await serving(200, async (socketPath) => expect(await isUsable(socketPath)).toBe(true));
  });

  test("that is not there is none", async () => {
    expect(await isUsable(join(directory, "none"))).toBe(false);
  });

  test("that answers as no engine does is not taken for a missing one", async () => {
    await serving(404, (socketPath) =>
      expect(isUsable(socketPath)).rejects.toThrow(/does not answer as a Docker engine/),
    );
  });

  test("that was chosen and is not there is named", async () => {
    const wish = { socketPath: join(directory, "none"), isChosen: true, packages: [], agreed: false };
    const looking = findEngine(wish, new AbortController().signal);
    await expect(looking).rejects.toMatchObject({ code: "no-engine", retryable: false });
    await expect(looking).rejects.toThrow(/unix:\/\/.*none.*DOCKER_HOST/);
  });

  test("is not looked for any further after an interruption", async () => {
    const wish = { socketPath: join(directory, "none"), isChosen: false, packages: [], agreed: false };
    const looking = findEngine(wish, AbortSignal.abort(new Error("interrupted")));
    await expect(looking).rejects.toThrow("interrupted");
  });
});

async function serving(status: number, use: (socketPath: string) => unknown): Promise<void> {
  const server = createServer((_, response) => response.writeHead(status).end("OK"));
  const socketPath = join(directory, "sock");
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  try {
    await use(socketPath);
  } finally {
    server.close();
  }
}
