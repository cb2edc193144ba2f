import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { createLog } from "../../shared/log.ts";
import { parseName } from "../../shared/name.ts";
import { Allotment, type Allotted } from "./allotment.ts";
import { readAllotment, writeAllotment } from "./allotment-file.ts";
import { AllotmentKeeper } from "./allotment-keeper.ts";
import { parseRange } from "./range.ts";

const range = parseRange("127.64.0.0/10");
const now = Date.UTC(2030, 0, 1);
const web: Allotted = { name: parseName("web.berth.internal"), host: 0x10203, usedAt: now };

let dir: string;
let file: string;
let lines: string[];
const log = createLog("t", "debug", (line) => lines.push(line));

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-allotment-"));
  file = join(dir, "state", "allotment.json");
  lines = [];
});

afterEach(() => rmSync(dir, { recursive: true }));

describe("the file of addresses", () => {
  test("gives back what was written, for its owner alone, and leaves nothing beside it", async () => {
    await writeAllotment(file, range, [web]);
    expect(await readAllotment(file, range, log)).toEqual([web]);
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(readdirSync(join(dir, "state"))).toEqual(["allotment.json"]);
    expect(readFileSync(file, "utf8")).toContain('"127.65.2.3"');
  });

  test("is not written through a link that was laid in its way", async () => {
    mkdirSync(join(dir, "state"));
    const victim = join(dir, "victim");
    writeFileSync(victim, "somebody's");
    symlinkSync(victim, `${file}.${process.pid}.tmp`);
    await writeAllotment(file, range, [web]);
    expect(readFileSync(victim, "utf8")).toBe("somebody's");
    expect(await readAllotment(file, range, log)).toEqual([web]);
  });

  test("may be missing, and says nothing of another range", async () => {
    expect(await readAllotment(file, range, log)).toEqual([]);
    await writeAllotment(file, range, [web]);
    expect(await readAllotment(file, parseRange("127.100.0.0/16"), log)).toEqual([]);
    expect(lines).toEqual([]);
  });

  test.each(["", "{", '{"version":2,"names":[]}', '{"version":1,"names":[{"name":"..","address":"x"}]}'])(
    "damaged as %j it is set aside and said, and one starts anew",
    async (text) => {
      mkdirSync(join(dir, "state"));
      writeFileSync(file, text);
      expect(await readAllotment(file, range, log)).toEqual([]);
      expect(lines.join()).toContain("is damaged and was set aside");
      expect([existsSync(file), readFileSync(`${file}.damaged`, "utf8")]).toEqual([false, text]);
    },
  );

  test("that cannot be read is a fault: its addresses may be in use", async () => {
    mkdirSync(file, { recursive: true });
    await expect(readAllotment(file, range, log)).rejects.toMatchObject({ code: "bad-state-dir" });
  });
});

describe("an address", () => {
  function keeper(write: (all: readonly Allotted[]) => Promise<void>): AllotmentKeeper {
    return new AllotmentKeeper({
      allotment: new Allotment(range.size, [], [], now),
      write,
      now: () => now,
      log,
    });
  }

  test("is stored before anybody hears of it; many at once are stored together", async () => {
    let stored: readonly Allotted[] = [];
    let writes = 0;
    const kept = keeper(async (all) => {
      await new Promise((resolve) => setImmediate(resolve));
      writes++;
      stored = all;
    });
    await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const name = parseName(`n${i}.berth.internal`);
        const host = await kept.hostOf(name);
        expect(stored).toContainEqual({ name, host, usedAt: now });
      }),
    );
    expect(writes).toBeLessThan(4);
    await kept.hostOf(parseName("n1.berth.internal"));
    expect(writes).toBeLessThan(4);
  });

  test("is given even when it cannot be stored, which is said once and again when it can", async () => {
    let isFull = true;
    const kept = keeper(async () => {
      if (isFull) throw new Error("ENOSPC");
    });
    expect(await kept.hostOf(web.name)).toBeTypeOf("number");
    await kept.hostOf(parseName("b.berth.internal"));
    expect(lines.filter((line) => line.includes("cannot be stored"))).toHaveLength(1);
    expect(kept.fault).toContain("ENOSPC");
    isFull = false;
    await kept.store();
    expect([kept.fault, lines.at(-1)]).toEqual([undefined, expect.stringContaining("can be stored again")]);
  });
});
