import { renameSync, writeFileSync } from "node:fs";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Name, parseName } from "../../shared/name.ts";
import { serviceRecords, startResolver } from "../testing/doh-server.ts";
import { fileWith, type StubBed, soon, startStubBed, stubBedOf } from "../testing/stub-bed.ts";

const name = "web.berth.internal";
const records = serviceRecords(name, 80, [{ address: "10.0.0.5", port: 32768 }]);
const moved = serviceRecords(name, 80, [{ address: "10.0.0.5", port: 32769 }]);
const at = (port: number) => ({ kind: "endpoints", endpoints: [{ port }] });

/** With its feed open and its snapshot heard. */
async function startFollowing(): Promise<{ bed: StubBed; heard: ("all" | Name[])[] }> {
  const bed = await startStubBed({ records, token: "secret" });
  const heard: ("all" | Name[])[] = [];
  bed.stub.onChange((names) => heard.push(names === "all" ? "all" : [...names]));
  await soon(() => expect(heard).toEqual(["all"]));
  return { bed, heard };
}

describe("a change", { timeout: 30_000 }, () => {
  test("ends what is remembered of its names at once, and is told to those who listen", async () => {
    const { bed, heard } = await startFollowing();
    expect(bed.stub.status().feed).toBe("following");
    await bed.resolve(name, 80);
    await bed.resolve("other.berth.internal", 80);
    bed.resolver.records = moved;
    bed.resolver.tell([name]);
    await soon(() => expect(heard).toEqual(["all", [parseName(name)]]));
    const asked = bed.resolver.queries.length;
    expect(await bed.resolve(name, 80)).toMatchObject(at(32769));
    await bed.resolve("other.berth.internal", 80);
    expect(bed.resolver.queries).toHaveLength(asked + 1);
  });

  test("is told until the listener's end", async () => {
    const { bed, heard } = await startFollowing();
    const [kept, ended] = [vi.fn(), vi.fn()];
    bed.stub.onChange(kept);
    const end = bed.stub.onChange(ended);
    end();
    bed.resolver.tell([name]);
    await soon(() => expect(heard).toHaveLength(2));
    expect(kept).toHaveBeenCalledOnce();
    expect(ended).not.toHaveBeenCalled();
  });

  test("makes an answer that was on its way before one that is not remembered", async () => {
    const { bed, heard } = await startFollowing();
    const { promise, resolve: answerNow } = Promise.withResolvers<void>();
    bed.resolver.held = promise;
    const before = bed.resolve(name, 80);
    await soon(() => expect(bed.resolver.requests).toBe(2));
    bed.resolver.held = Promise.resolve();
    bed.resolver.records = moved;
    bed.resolver.tell([name]);
    await soon(() => expect(heard).toHaveLength(2));
    expect(await bed.resolve(name, 80)).toMatchObject(at(32769));
    bed.resolver.records = records;
    answerNow();
    expect(await before).toMatchObject(at(32768));
    expect(await bed.resolve(name, 80)).toMatchObject(at(32769));
    expect(bed.resolver.queries).toHaveLength(2);
  });
});

describe("a feed that breaks", { timeout: 30_000 }, () => {
  test("leaves answers to their TTL, and ends them when something may have been missed", async () => {
    const { bed, heard } = await startFollowing();
    await bed.resolve(name, 80);
    bed.resolver.readers[0]?.destroy();
    await soon(() => expect(bed.stub.status().feed).toBe("broken"));
    bed.resolver.records = moved;
    expect(await bed.resolve(name, 80)).toMatchObject(at(32768));
    // The one that answers again knows nothing of what was heard, and begins with a snapshot.
    await soon(async () => {
      await bed.clock.advance(250);
      expect(heard).toEqual(["all", "all"]);
    });
    expect(bed.stub.status().feed).toBe("following");
    expect(await bed.resolve(name, 80)).toMatchObject(at(32769));
    expect(bed.lines.filter((line) => line.includes("not heard of"))).toHaveLength(1);
    expect(bed.lines.at(-1)).toContain("heard of again");
  });

  test("is opened at another resolver when its own has gone", async () => {
    const [first, second] = [await startResolver(records), await startResolver(moved)];
    onTestFinished(() => {
      first.close();
      second.close();
    });
    second.token = "secret";
    const bed = stubBedOf(first, { token: "secret", settings: { resolver: [first.url, second.url] } });
    await soon(() => expect(first.readers).toHaveLength(1));
    await bed.resolve(name, 80);
    first.close();
    await soon(async () => {
      await bed.clock.advance(250);
      expect(second.readers).toHaveLength(1);
    });
    await soon(() => expect(bed.stub.status()).toMatchObject({ feed: "following", cached: 0 }));
    expect(await bed.resolve(name, 80)).toMatchObject(at(32769));
  });

  test("blames nobody for lookups when only the feed is refused", async () => {
    const bed = await startStubBed({ records, token: "secret" });
    bed.resolver.token = "another";
    await soon(() => expect(bed.lines.join()).toContain("not heard of"));
    expect(bed.stub.status()).toMatchObject({ feed: "broken", resolvers: [{ state: "current" }] });
  });
});

test("without a token there is no feed", async () => {
  const bed = await startStubBed({ records });
  await bed.resolve(name, 80);
  expect(bed.stub.status().feed).toBe("off");
  expect(bed.resolver.paths).toEqual([]);
});

test("a token that is replaced is found, by lookups and by the feed", async () => {
  const tokenFile = fileWith("old\n");
  const bed = await startStubBed({ records, settings: { tokenFile } });
  bed.resolver.token = "new";
  expect(await bed.resolve(name, 80)).toMatchObject({ kind: "no-token" });
  writeFileSync(`${tokenFile}.new`, "new\n");
  renameSync(`${tokenFile}.new`, tokenFile);
  expect(await bed.resolve(name, 80)).toMatchObject(at(32768));
  await soon(async () => {
    await bed.clock.advance(250);
    expect(bed.stub.status().feed).toBe("following");
  });
  expect(bed.lines.join()).not.toMatch(/\b(old|new)\b/);
});
