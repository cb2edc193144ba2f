import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { zone } from "../testing/builders.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { ServiceFiles } from "./service-files.ts";

let above: string;
let directory: string;
let clock: FakeClock;
let files: ServiceFiles;

beforeEach(async () => {
  above = await mkdtemp(join(tmpdir(), "berth-services-"));
  directory = join(above, "services.d");
  clock = new FakeClock();
  files = new ServiceFiles({ directory, zone, clock });
});

afterEach(async () => {
  files.close();
  await rm(above, { recursive: true });
});

describe("reading", () => {
  it("takes a directory that is not there for one without services", async () => {
    expect(await files.read()).toEqual({ services: [], problems: [] });
  });

  it("takes the services of every *.toml file, in the files' order, and leaves other files alone", async () => {
    await mkdir(directory);
    await put("web.toml", service("web"));
    await put("db.toml", service("db") + service("db2"));
    for (const other of [".db.toml", "db.toml~", "README", ".#web.toml"]) await put(other, "[[not toml");
    await put("here.txt", service("linked"));
    await symlink(join(directory, "here.txt"), join(directory, "link.toml"));
    const { services, problems } = await files.read();
    expect(problems).toEqual([]);
    expect(services.map(({ id }) => id)).toEqual(["db.toml#1", "db.toml#2", "link.toml#1", "web.toml#1"]);
  });

  it("names each file that is wrong; the others stand", async () => {
    await mkdir(directory);
    await put("a.toml", service("a"));
    await put("big.toml", `# ${"x".repeat(256 * 1024)}`);
    await put("latin.toml", Buffer.from([0x23, 0xe9, 0x0a]));
    await put("odd name.toml", service("b"));
    await mkdir(join(directory, "sub.toml"));
    execFileSync("mkfifo", [join(directory, "pipe.toml")]);
    const { services, problems } = await files.read();
    expect(services.map(({ id }) => id)).toEqual(["a.toml#1"]);
    const faults = problems.map(({ container, message }) => `${container}: ${message}`).toSorted();
    expect(faults).toHaveLength(5);
    expect(faults[0]).toMatch(/^big\.toml: it has 262146 bytes, and a file of services at most 262144/);
    expect(faults[1]).toBe("latin.toml: it is not UTF-8 text");
    expect(faults[2]).toMatch(/^odd name\.toml: .*rename it/);
    expect(faults[3]).toBe("pipe.toml: it is not a regular file");
    expect(faults[4]).toBe("sub.toml: it is not a regular file");
  });

  it("takes 500 services, and says from where on they are left out", async () => {
    await mkdir(directory);
    await put("a.toml", service("a").repeat(300));
    await put("b.toml", service("b").repeat(300));
    const { services, problems } = await files.read();
    expect(services).toHaveLength(500);
    expect(problems).toMatchObject([{ container: "b.toml#201", code: "too-many" }]);
  });

  it("keeps what a directory said that cannot be read any more, and says so", async () => {
    await mkdir(directory);
    await put("a.toml", service("a"));
    await files.read();
    await rename(directory, join(above, "old"));
    await writeFile(directory, "a file in its place");
    const { services, problems } = await files.read();
    expect(services.map(({ id }) => id)).toEqual(["a.toml#1"]);
    expect(problems[0]?.message).toContain("what was read last stands");
  });

  it("forgets the services of a file that is gone, or has them no more", async () => {
    await mkdir(directory);
    for (const name of ["a", "b", "c"]) await put(`${name}.toml`, service(name));
    await files.read();
    await unlink(join(directory, "a.toml"));
    await put("b.toml", "# none");
    await put("c.toml", '[[service]]\nname = "c"\nport = "wrong"\n');
    expect((await files.read()).services).toEqual([]);
  });

  it.each([
    ["no TOML", service("a").slice(0, -13), /^its services stay as they were read last: line \d+, column/],
    ["cut within a letter", Buffer.from([0x23, 0xc3]), /read last: it is not UTF-8 text$/],
    ["of another shape", '[service]\nname = "a"', /read last: service is one table and not a list/],
  ])(
    "keeps the last good services of a file that is %s, until it says something again",
    async (_, text, words) => {
      await mkdir(directory);
      await put("a.toml", service("a") + service("b"));
      await files.read();
      await put("a.toml", text);
      for (let turn = 0; turn < 2; turn++) {
        const { services, problems } = await files.read();
        expect(services.map(({ id }) => id)).toEqual(["a.toml#1", "a.toml#2"]);
        expect(problems).toMatchObject([{ container: "a.toml", message: expect.stringMatching(words) }]);
      }
      await put("a.toml", service("c"));
      const { services, problems } = await files.read();
      expect(services.map(({ names }) => names[0])).toEqual(["c.berth.internal."]);
      expect(problems).toEqual([]);
    },
  );
});

describe("a directory that does not answer", () => {
  it("is a problem within ten seconds, and is asked once; what it said last stands until it answers", async () => {
    await mkdir(directory);
    await put("a.toml", service("a"));
    let hold: Promise<void> | undefined;
    let lists = 0;
    const list = async (path: string): Promise<string[]> => {
      lists += 1;
      await hold;
      return readdir(path);
    };
    files = new ServiceFiles({ directory, zone, clock, list });
    await files.read();
    const answer = Promise.withResolvers<void>();
    hold = answer.promise;
    lists = 0;
    let [changes, looks] = [0, 0];
    files.watch(
      () => (changes += 1),
      () => (looks += 1),
    );
    await expect.poll(() => lists).toBe(1);
    for (let turn = 0; turn < 3; turn++) {
      const reading = files.read();
      await clock.advance(10_000);
      const { services, problems } = await reading;
      expect(services.map(({ id }) => id)).toEqual(["a.toml#1"]);
      expect(problems).toMatchObject([
        { message: expect.stringMatching(/does not answer in time, so what was read last/) },
      ]);
    }
    expect([lists, changes, looks]).toEqual([1, 0, 3]);
    hold = undefined;
    answer.resolve();
    await expect.poll(() => changes).toBe(1);
    expect((await files.read()).problems).toEqual([]);
  });

  it("is told what it said however late, and not asked again for that", async () => {
    await mkdir(directory);
    await put("a.toml", service("a"));
    const answer = Promise.withResolvers<void>();
    let lists = 0;
    const list = async (path: string): Promise<string[]> => {
      lists += 1;
      await answer.promise;
      return readdir(path);
    };
    files = new ServiceFiles({ directory, zone, clock, list });
    const reading = files.read();
    await clock.advance(10_000);
    expect(await reading).toMatchObject({
      services: [],
      problems: [{ message: expect.stringMatching(/in time, and was not read since the agent's start/) }],
    });
    const changed = Promise.withResolvers<void>();
    files.watch(() => changed.resolve());
    answer.resolve();
    await changed.promise;
    await clock.advance(0);
    const before = lists;
    const { services, problems } = await files.read();
    expect([services.map(({ id }) => id), problems]).toEqual([["a.toml#1"], []]);
    expect(lists - before).toBeLessThanOrEqual(1);
  });
});

describe("watching", () => {
  it("tells of a new file, a changed one and one that is gone", async () => {
    await mkdir(directory);
    const changes = await watching();
    await put("a.toml", service("a"));
    await changes.next();
    await put("a.toml", service("other"));
    await changes.next();
    await unlink(join(directory, "a.toml"));
    await changes.next();
  });

  it("merges the steps of one change", async () => {
    await mkdir(directory);
    const changes = await watching();
    for (let step = 0; step < 20; step++) await put("a.toml", service("a").repeat(step));
    await changes.next();
    await clock.advance(60_000);
    await new Promise((passed) => setTimeout(passed, 100));
    await clock.advance(60_000);
    expect(changes.count()).toBe(1);
  });

  it("says nothing of files that are not services, nor of a look without news", async () => {
    await mkdir(directory);
    const changes = await watching();
    await put("README", "hello");
    for (let turn = 0; turn < 5; turn++) {
      await clock.advance(10_000);
      await new Promise((passed) => setTimeout(passed, 20));
    }
    expect(changes.count()).toBe(0);
  });

  it("finds a directory that is made later, and one that takes its place, by looking every ten seconds", async () => {
    const changes = await watching();
    await mkdir(directory);
    await put("a.toml", service("a"));
    await changes.next(10_000);
    await rename(directory, join(above, "old"));
    await mkdir(directory);
    await changes.next(10_000);
    // By the kernel again.
    await put("b.toml", service("b"));
    await changes.next();
  });

  it("sees what becomes of a file elsewhere that one of its own links to, again and again", async () => {
    await mkdir(directory);
    const elsewhere = join(above, "elsewhere.toml");
    await writeFile(elsewhere, service("a"));
    await symlink(elsewhere, join(directory, "link.toml"));
    const changes = await watching();
    for (const name of ["b", "c", "d"]) {
      await writeFile(elsewhere, service(name));
      await changes.next(10_000);
    }
  });

  it("ends with close", async () => {
    await mkdir(directory);
    const changes = await watching();
    files.close();
    await put("a.toml", service("a"));
    await clock.advance(60_000);
    expect(changes.count()).toBe(0);
  });
});

/** Watches from a first reading on; `next` waits for one more change, letting `stepMs` of time pass at each look. */
async function watching() {
  let count = 0;
  let expected = 0;
  await files.read();
  files.watch(() => {
    count += 1;
  });
  // Until the kernel watches.
  await new Promise((passed) => setTimeout(passed, 50));
  return {
    count: () => count,
    async next(stepMs = 200): Promise<void> {
      expected += 1;
      const seen = async () => {
        await clock.advance(stepMs);
        return count;
      };
      await expect.poll(seen, { timeout: 10_000, interval: 20 }).toBe(expected);
      await files.read();
    },
  };
}

function put(name: string, content: string | Buffer): Promise<void> {
  return writeFile(join(directory, name), content);
}

function service(name: string): string {
  return `[[service]]\nname = "${name}"\nport = 80\n`;
}
