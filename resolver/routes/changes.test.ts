import { describe, expect, test } from "vitest";

import { settle } from "../../agent/testing/fake-clock.ts";
import { changesPath } from "../../shared/changes.ts";
import { createFeedBed, readerOf } from "../testing/feed.ts";

type Bed = ReturnType<typeof createFeedBed>;

async function open(bed: Bed, headers: Record<string, string> = {}, query = "") {
  const response = await bed.app.request(`${changesPath}${query}`, { headers });
  expect(response.status).toBe(200);
  return readerOf(response.body);
}

describe("a reader of the change feed", () => {
  test("is sent everything first, then what changes", async () => {
    const bed = createFeedBed();
    bed.add("db", "web");
    const reader = await open(bed);
    expect(await reader.next()).toBe("snapshot 1: db web");
    const second = reader.next();
    bed.add("mail");
    expect(await second).toBe("change 2: mail");
    bed.remove("db");
    const third = reader.next();
    await bed.clock.advance(100);
    expect(await third).toBe("change 3: , gone db");
    expect(bed.reads).toEqual(["all", "mail", "db"]);
  });

  test("is told that nothing may keep or hold back what it is sent", async () => {
    const { headers } = await createFeedBed().app.request(changesPath);
    expect(headers.get("content-type")).toBe("text/event-stream");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-accel-buffering")).toBe("no");
  });

  test("gets one event for a burst, with the state at its end", async () => {
    const bed = createFeedBed();
    const reader = await open(bed);
    await reader.next();
    bed.add("a", "b");
    bed.add("c");
    bed.remove("a");
    expect(await reader.next()).toBe("change 3: b c, gone a");
    // The next comes no sooner than 100 ms later, and brings what has gathered by then.
    const later = reader.next();
    for (const label of ["d", "e"]) {
      bed.add(label);
      await settle();
    }
    expect(bed.reads).toHaveLength(2);
    await bed.clock.advance(100);
    expect(await later).toBe("change 5: d e");
  });

  test("hears a heartbeat every 15 s while nothing changes", async () => {
    const bed = createFeedBed();
    const reader = await open(bed);
    await reader.next();
    for (let beat = 0; beat < 3; beat++) {
      let heard: string | undefined;
      void reader.next().then((text) => (heard = text));
      await bed.clock.advance(14_999);
      expect(heard).toBeUndefined();
      await bed.clock.advance(1);
      expect(heard).toBe("beat");
    }
    bed.add("web");
    expect(await reader.next()).toBe("change 1: web");
  });

  test("is sent a long event whole", async () => {
    const bed = createFeedBed();
    const labels = Array.from({ length: 2_000 }, (_, index) => `n${1000 + index}`);
    bed.add(...labels);
    expect(await (await open(bed)).next()).toBe(`snapshot 1: ${labels.join(" ")}`);
  });

  test("gets everything again when more changed than is kept", async () => {
    const bed = createFeedBed();
    const reader = await open(bed);
    await reader.next();
    for (let change = 1; change <= 6; change++) bed.add(`n${change}`);
    expect(await reader.next()).toBe("snapshot 6: n1 n2 n3 n4 n5 n6");
  });

  test("gets everything again when the registry was put back to another state", async () => {
    const bed = createFeedBed();
    const reader = await open(bed);
    await reader.next();
    const next = reader.next();
    bed.changes.restart("h", 40);
    expect(await next).toBe("snapshot 40: ");
  });
});

describe("a reader that comes back", () => {
  test.each(["header", "parameter"])("goes on after the event that its %s names", async (way) => {
    const bed = createFeedBed();
    for (const label of ["a", "b", "c"]) bed.add(label);
    const reader =
      way === "header"
        ? await open(bed, { "last-event-id": "g.1" })
        : await open(bed, {}, "?last-event-id=g.1");
    expect(await reader.next()).toBe("change 3: b c");
  });

  test("and missed nothing hears at once that it is connected", async () => {
    const bed = createFeedBed();
    bed.add("a");
    const reader = await open(bed, { "last-event-id": "g.1" });
    expect(await reader.next()).toBe("beat");
    bed.add("b");
    expect(await reader.next()).toBe("change 2: b");
  });

  test.each(["h.7", "g.1", "g.8", "g", "g.", ".7", "g.-1", "g.7x", "", "g.1e1", "g.0x7"])(
    "with %j, after which not everything is known, starts anew",
    async (id) => {
      const bed = createFeedBed();
      for (let change = 1; change <= 7; change++) bed.add("a");
      const reader = await open(bed, { "last-event-id": id });
      expect(await reader.next()).toBe("snapshot 7: a");
    },
  );

  test("goes by the header, which is newer than the URL it once began with", async () => {
    const bed = createFeedBed();
    for (const label of ["a", "b", "c"]) bed.add(label);
    const reader = await open(bed, { "last-event-id": "g.2" }, "?last-event-id=g.1");
    expect(await reader.next()).toBe("change 3: c");
  });
});

describe("many readers", () => {
  test("share what is built for them", async () => {
    const bed = createFeedBed();
    bed.add("web");
    const readers = await Promise.all(Array.from({ length: 20 }, () => open(bed)));
    for (const reader of readers) expect(await reader.next()).toBe("snapshot 1: web");
    const waiting = readers.map((reader) => reader.next());
    await settle();
    bed.add("db");
    for (const next of waiting) expect(await next).toBe("change 2: db");
    expect(bed.reads).toEqual(["all", "db"]);
  });

  test("share a snapshot for a second, and then learn what it lacks", async () => {
    const bed = createFeedBed();
    bed.add("web");
    await open(bed);
    bed.add("db");
    const second = await open(bed);
    expect(await second.next()).toBe("snapshot 1: web");
    expect(await second.next()).toBe("change 2: db");
    await bed.clock.advance(1_000);
    expect(await (await open(bed)).next()).toBe("snapshot 2: db web");
    expect(bed.reads).toEqual(["all", "db", "all"]);
  });

  test("do not share a snapshot after which not everything is known", async () => {
    const bed = createFeedBed();
    await open(bed);
    for (let change = 1; change <= 6; change++) bed.add("web");
    expect(await (await open(bed)).next()).toBe("snapshot 6: web");
  });

  test("are so many and no more, until one leaves", async () => {
    const bed = createFeedBed({ maxFeeds: 2 });
    const readers = [await open(bed), await open(bed)];
    const refused = await bed.app.request(changesPath);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { code: "too-many-feeds" } });
    await readers[0]?.cancel();
    await open(bed);
    expect(bed.changes.listeners).toBe(2);
  });

  test("with one token are a tenth of them at most, which shuts nobody else out", async () => {
    const bed = createFeedBed({ maxFeeds: 20 });
    const leaking = { "x-token-id": "k3v5q2wz7a" };
    const readers = [await open(bed, leaking), await open(bed, leaking)];
    const refused = await bed.app.request(changesPath, { headers: leaking });
    expect(await refused.json()).toMatchObject({
      error: { code: "too-many-feeds", message: expect.stringMatching(/^2 readers with this token/) },
    });
    await open(bed, { "x-token-id": "abcdefghij" });
    for (let reader = 0; reader < 3; reader++) await open(bed);
    await readers[0]?.cancel();
    await open(bed, leaking);
    expect((await bed.app.request(changesPath, { headers: leaking })).status).toBe(503);
  });

  test("of two lives of the registry share nothing, though both came to the same revision", async () => {
    const bed = createFeedBed();
    bed.add("web");
    expect(await (await open(bed)).next()).toBe("snapshot 1: web");
    bed.changes.restart("h", 0);
    bed.add("db");
    expect(await (await open(bed)).next()).toBe("snapshot 1: db web");
  });
});

describe("a feed ends", () => {
  test("when its reader leaves, whatever it is doing", async () => {
    const bed = createFeedBed();
    const unread = await open(bed);
    const waiting = await open(bed);
    await waiting.next();
    void waiting.next();
    const resting = await open(bed);
    bed.add("web");
    await resting.next();
    await resting.next();
    void resting.next();
    expect(bed.changes.listeners).toBe(3);
    for (const reader of [unread, waiting, resting]) await reader.cancel();
    expect(bed.changes.listeners).toBe(0);
  });

  test("when its reader takes nothing for a minute, and not when it is slow", async () => {
    const bed = createFeedBed();
    const slow = await open(bed);
    const stalled = await open(bed);
    for (let minute = 0; minute < 5; minute++) {
      await slow.next();
      bed.add(`n${minute}`);
      await bed.clock.advance(59_999);
    }
    expect(bed.changes.listeners).toBe(1);
    expect(await slow.next()).toBe("change 5: n4");
    expect(await stalled.next()).toBe("end");
    await bed.clock.advance(60_000);
    expect(bed.changes.listeners).toBe(0);
  });

  test("when the token behind it may read no more", async () => {
    const waits = new Set<() => void>();
    let isRevoked = false;
    const accessEnds = (_: unknown, end: () => void) => {
      waits.add(end);
      if (isRevoked) end();
      return () => void waits.delete(end);
    };
    const bed = createFeedBed({ accessEnds });
    const waiting = await open(bed);
    await waiting.next();
    const next = waiting.next();
    const unread = await open(bed);
    isRevoked = true;
    for (const end of waits) end();
    expect(await next).toBe("end");
    expect(await unread.next()).toBe("end");
    expect(bed.changes.listeners).toBe(0);
    expect(await (await open(bed)).next()).toBe("end");
    expect(bed.changes.listeners).toBe(0);
    expect(waits, "nothing is kept for readers that are gone").toEqual(new Set());
  });

  test("when the registry cannot be read, which is logged once for all readers", async () => {
    const bed = createFeedBed();
    const readers = [await open(bed), await open(bed)];
    for (const reader of readers) await reader.next();
    const ends = readers.map((reader) => reader.next());
    await settle();
    bed.broken = true;
    bed.add("web");
    expect(await Promise.all(ends)).toEqual(["end", "end"]);
    expect(bed.changes.listeners).toBe(0);
    expect(bed.logged).toEqual([expect.stringContaining("the disk is away")]);
  });

  test("before it begins when the registry cannot be read, and takes nobody's place", async () => {
    const bed = createFeedBed({ maxFeeds: 1 });
    bed.broken = true;
    for (let attempt = 0; attempt < 2; attempt++) {
      const response = await bed.app.request(changesPath);
      expect(await response.json()).toMatchObject({ error: { code: "store-unavailable" } });
    }
    bed.broken = false;
    await open(bed);
  });

  test("before it begins when only the head of the reply is asked for", async () => {
    const bed = createFeedBed({ maxFeeds: 1 });
    for (let attempt = 0; attempt < 2; attempt++) {
      const response = await bed.app.request(changesPath, { method: "HEAD" });
      expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    }
    expect(bed.changes.listeners).toBe(0);
  });
});
