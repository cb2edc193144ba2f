import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { binding } from "../../resolver/store/contract/builders.ts";
import type { Declared } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import type { HostList } from "../../shared/registry-views.ts";
import { runCommand } from "../testbed/process.ts";
import { askNode } from "./asked-names.ts";
import { berth } from "./parts.ts";
import { RegistryBed } from "./registry-bed.ts";
import { faultIn, RegistryHost } from "./registry-host.ts";
import { makeSmallDisk, type SmallDisk } from "./small-disk.ts";

describe("a full disk", () => {
  let disk: SmallDisk;
  let bed: RegistryBed;
  let host: RegistryHost;
  const options = () => ({
    wrapper: disk.wrapper,
    stateDir: join(disk.path, "state"),
    seenAt: join(disk.seenAt, "state"),
  });
  const manyNames = (number: number) => Array.from({ length: 300 }, (_, index) => `n${index}.m${number}`);

  beforeAll(async () => {
    disk = await makeSmallDisk(6);
    bed = await RegistryBed.start(options());
    host = await RegistryHost.make(bed, "nas");
  });
  afterAll(async () => {
    await bed?.close();
    await disk?.close();
  });

  it("is told to who pushes and to the log, answers and renewals go on, and pushes work again when there is room", async () => {
    expect(await host.pushNames(["kept"])).toMatchObject({ status: 200 });
    disk.fill();
    const held = await pushUntilRefused();
    const log = bed.log.filter((line) => line.startsWith("error"));
    expect(log).toEqual([
      expect.stringMatching(/a push was refused: there is no room left for .*registry\.db; free some/),
    ]);

    expect(await host.renew(held)).toMatchObject({ status: 200 });
    expect(await askNode(bed, "kept")).toBe("NOERROR");
    const { hosts } = await bed.json<HostList>("/v1/hosts");
    expect(hosts).toMatchObject([{ digest: await digestOf(held) }]);
    // Refusals cannot be written down either, which must not matter to anybody.
    expect(await bed.ask({ path: "/v1/hosts", token: "nobody-gave-this-one-out" })).toMatchObject({
      status: 401,
    });
    const backup = await bed.ask({ path: "/v1/backup", token: bed.token("admin") });
    expect(backup).toMatchObject({ status: 503, headers: { "retry-after": "5" } });
    expect(faultIn(backup).code).toBe("disk-full");

    disk.free();
    const more = host.declare(["kept", ...manyNames(99)].map((name) => binding(name)));
    expect(await host.push(more)).toMatchObject({ status: 200 });
    await bed.part.kill9();
    await bed.restart();
    expect((await bed.json<HostList>("/v1/hosts")).hosts).toMatchObject([{ digest: await digestOf(more) }]);
  });

  it("is no hindrance to a start on what is there", async () => {
    await bed.part.stop();
    disk.fill();
    await bed.restart();
    expect(await askNode(bed, "kept")).toBe("NOERROR");
    disk.free();
    expect(await host.pushNames(["kept", "new"])).toMatchObject({ status: 200 });
  });

  it("keeps a new resolver from starting, with a line that says so", async () => {
    disk.fill();
    onTestFinished(() => disk.free());
    const argv = berth("resolver", "--listen", "127.0.0.1:0", "--state-dir", join(disk.path, "other"));
    const { code, stderr } = await runCommand([...disk.wrapper, ...argv]);
    expect(code).not.toBe(0);
    expect(stderr.trim().split("\n")).toEqual([expect.stringMatching(/^berth: .*other.*(room|ENOSPC)/)]);
    expect(
      readdirSync(join(disk.seenAt, "other"), { recursive: true, encoding: "utf8" }).filter((name) =>
        /\.[0-9a-f]{12}$/.test(name),
      ),
      "no drafts",
    ).toEqual([]);
  });

  /** The last set that was taken. What SQLite's log has room for already is still taken on a full disk. */
  async function pushUntilRefused(): Promise<Declared> {
    let held = host.declare([binding("kept")]);
    for (let number = 0; number < 50; number++) {
      const next = host.declare(["kept", ...manyNames(number)].map((name) => binding(name)));
      const reply = await host.push(next);
      if (reply.status !== 200) {
        expect(reply).toMatchObject({ status: 503, headers: { "retry-after": "5" } });
        expect(faultIn(reply).code).toBe("disk-full");
        return held;
      }
      held = next;
    }
    throw new Error("the disk never was full");
  }
});
