import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildDeb } from "../../packaging/deb.ts";
import { buildImage } from "../../packaging/image/image.ts";
import { mustRun } from "../testbed/process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";

describe("what npm run package makes", () => {
  let dir: TemporaryDir;
  beforeAll(() => {
    dir = makeTemporaryDir("berth-p-");
  });
  afterAll(() => dir?.remove());

  it.each([
    ["the Debian package", (options: Options) => buildDeb({ ...options, compression: "none" })],
    ["the image", buildImage],
  ])("%s is the same to the byte, whenever it is made of the same source", async (_, make) => {
    const sums = [];
    for (const place of ["first", "second"]) {
      sums.push(await sumOf(await make({ version: "1.2.3", outDir: join(dir.path, place) })));
    }
    expect(sums[0]).toBe(sums[1]);
  });

  it("runs where there is nothing but the package, without types to strip or modules to find", async () => {
    const deb = join(dir.path, "first", await oneOf("first", ".deb"));
    const tree = join(dir.path, "tree");
    await mustRun(["dpkg-deb", "--extract", deb, tree]);
    const program = [join(tree, "usr/lib/berth/node"), join(tree, "usr/lib/berth/bin/berth.js")];
    expect(await mustRun([...program, "version"])).toBe("1.2.3\n");
    const usrBin = readFileSync(join(tree, "usr/bin/berth"), "utf8").replaceAll(
      "/usr/lib",
      `${tree}/usr/lib`,
    );
    for (const command of ["agent", "resolver", "proxy", "ls"]) {
      const help = await mustRun(["sh", "-s", command, "--help"], { input: usrBin });
      expect(help).toContain(`berth ${command}: `);
    }
    expect(await mustRun([...program, "help"])).not.toMatch(/^ {2}(test|install) /m);
  });

  it("belongs to root, and holds no file that others may write", async () => {
    const listed = await mustRun([
      "dpkg-deb",
      "--contents",
      join(dir.path, "first", await oneOf("first", ".deb")),
    ]);
    const faults = listed
      .split("\n")
      .filter((line) => line && !/^[d-]rwxr-xr-x root\/root|^-rw-r--r-- root\/root/.test(line));
    expect(faults).toEqual([]);
  });

  async function oneOf(place: string, ending: string): Promise<string> {
    const names = (await mustRun(["ls", join(dir.path, place)])).split("\n");
    return names.find((name) => name.endsWith(ending)) ?? expect.fail(`no ${ending} in ${place}`);
  }
});

type Options = { version: string; outDir: string };

async function sumOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
