import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { closedPort } from "../client/testing/closed-port.ts";
import { serviceRecords, startResolver } from "../client/testing/doh-server.ts";
import { makeTemporaryDir } from "../test/testbed/temporary-dir.ts";
import { type ProxyBed, startBed } from "./testing/proxy.ts";
import { requestName } from "./testing/raw-client.ts";

async function open(...args: Parameters<typeof startBed>): Promise<ProxyBed> {
  const bed = await startBed(...args);
  onTestFinished(bed.close);
  return bed;
}

/** REP of a CONNECT to port 80 of `name`. */
async function connectTo(bed: ProxyBed, name = "web.berth.internal"): Promise<number | undefined> {
  const client = await requestName(bed.port, name, 80);
  const reply = await client.read(10);
  client.socket.destroy();
  return reply[1];
}

async function publishedBy(bed: ProxyBed, name = "web.berth.internal") {
  const port = await bed.upstream((socket) => socket.resume());
  return serviceRecords(name, 80, [{ address: "127.0.0.1", port }]);
}

describe("a proxy of several resolvers", () => {
  test("reaches names while one of them answers, and keeps to that one", async () => {
    const [alive, dead] = [await startResolver(), await closedPort()];
    onTestFinished(alive.close);
    const bed = await open([], { resolver: [`http://127.0.0.1:${dead}`, alive.url] });
    alive.records = await publishedBy(bed);
    alive.records.push(...(await publishedBy(bed, "db.berth.internal")));
    expect(await connectTo(bed)).toBe(0);
    expect(await connectTo(bed, "db.berth.internal")).toBe(0);
    expect(alive.queries).toHaveLength(2);
  });

  test("takes a silent one's place within a share of the time, once", async () => {
    const alive = await startResolver();
    onTestFinished(alive.close);
    const first = await startResolver();
    onTestFinished(first.close);
    first.faults.set("_80._tcp.web.berth.internal", "silence");
    const bed = await open([], { resolver: [first.url, alive.url], resolveTimeout: 1 });
    alive.records = await publishedBy(bed);
    for (let attempt = 0; attempt < 3; attempt++) expect(await connectTo(bed)).toBe(0);
    expect(first.queries).toHaveLength(1);
  });

  test("does not ask the second one about a name the first one says does not exist", async () => {
    const other = await startResolver();
    onTestFinished(other.close);
    const first = await startResolver();
    onTestFinished(first.close);
    const bed = await open([], { resolver: [first.url, other.url] });
    other.records = await publishedBy(bed);
    expect(await connectTo(bed)).toBe(4);
    expect(other.queries).toEqual([]);
  });
});

describe("a resolver that wants a token", () => {
  function tokenFile(text: string): string {
    const directory = makeTemporaryDir("berth-proxy-");
    onTestFinished(() => directory.remove());
    const file = join(directory.path, "reader.token");
    writeFileSync(file, text);
    return file;
  }

  test("gets the one in the file, and the next one when the file changes", async () => {
    const file = tokenFile("one\n");
    const bed = await open([], { tokenFile: file });
    bed.resolver.records = await publishedBy(bed);
    bed.resolver.token = "one";
    expect(await connectTo(bed)).toBe(0);
    bed.resolver.token = "two";
    expect(await connectTo(bed)).toBe(1);
    writeFileSync(file, "two\n");
    expect(await connectTo(bed)).toBe(0);
  });

  test("and gets none is told of in one line a minute, with what to do", async () => {
    let now = 0;
    const bed = await open([], {}, { now: () => now });
    bed.resolver.token = "secret";
    for (let attempt = 0; attempt < 5; attempt++) expect(await connectTo(bed)).toBe(1);
    const lines = () => bed.lines.filter((line) => line.includes("--token-file"));
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toContain(`${bed.resolver.url}/dns-query`);
    expect(lines()[0]).toContain(
      "valid token (HTTP 401); name the file of a reader's token with --token-file",
    );
    now = 60_000;
    await connectTo(bed);
    expect(lines()[1]).toContain("(4 others before it are not shown)");
  });

  test("is not asked while the file cannot be read, which is told of as well", async () => {
    const bed = await open([], { tokenFile: "/nowhere/reader.token" });
    expect(await connectTo(bed)).toBe(1);
    expect(bed.resolver.queries).toEqual([]);
    expect(bed.lines.at(-1)).toContain("the token file /nowhere/reader.token cannot be read");
  });
});
