import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import { openAuthority } from "./authority.ts";

const dayMs = 24 * 60 * 60 * 1000;
const names = ["localhost", "127.0.0.1", "::1", "nas.example"];

function makeDirectory(): string {
  const directory = makeTemporaryDir("berth-tls-");
  onTestFinished(() => directory.remove());
  return join(directory.path, "tls");
}

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);

describe("the authority", () => {
  test("is made once, kept by the next start, and readable to others in its certificate only", async () => {
    const directory = makeDirectory();
    const authority = await openAuthority(directory);
    const ca = readFileSync(authority.caFile, "utf8");
    await authority.serverCertificate(names, Date.now());
    expect(readdirSync(directory).toSorted()).toEqual(["ca.key", "ca.pem", "leaf.pem"]);
    expect([directory, ...["ca.key", "leaf.pem"].map((file) => join(directory, file))].map(modeOf)).toEqual([
      "700",
      "600",
      "600",
    ]);
    expect(ca).not.toContain("PRIVATE");
    expect(new X509Certificate(ca).ca).toBe(true);
    await openAuthority(directory);
    expect(readFileSync(authority.caFile, "utf8")).toBe(ca);
  });

  test("says so when it is not valid now, as one made by a wrong clock", async () => {
    const directory = makeDirectory();
    vi.useFakeTimers({ toFake: ["Date"], now: 0 });
    await openAuthority(directory);
    vi.useRealTimers();
    await expect(openAuthority(directory)).rejects.toThrow(/ca\.key is valid from .*1969.* to .*1979/);
  });

  test("is one, also when two starts race", async () => {
    const directory = makeDirectory();
    const [one, two] = await Promise.all([openAuthority(directory), openAuthority(directory)]);
    const leaf = await two.serverCertificate(names, Date.now());
    const ca = new X509Certificate(readFileSync(one.caFile));
    expect(new X509Certificate(leaf.cert).verify(ca.publicKey)).toBe(true);
    expect(readdirSync(directory).toSorted()).toEqual(["ca.key", "ca.pem", "leaf.pem"]);
  });

  test("writes its certificate out again when somebody removed or changed it", async () => {
    const directory = makeDirectory();
    const { caFile } = await openAuthority(directory);
    const ca = readFileSync(caFile, "utf8");
    for (const spoil of [() => rmSync(caFile), () => writeFileSync(caFile, "x")]) {
      spoil();
      await openAuthority(directory);
      expect(readFileSync(caFile, "utf8")).toBe(ca);
    }
  });

  test.each([
    ["empty", () => ""],
    ["garbage", () => "not PEM"],
    ["a certificate without its key", (text: string) => text.slice(0, text.indexOf("-----BEGIN PRIVATE"))],
    ["a key without its certificate", (text: string) => text.slice(text.indexOf("-----BEGIN PRIVATE"))],
  ])("is refused when its file is %s, by the file's name and with what to do", async (_, spoil) => {
    const directory = makeDirectory();
    await openAuthority(directory);
    const file = join(directory, "ca.key");
    writeFileSync(file, spoil(readFileSync(file, "utf8")));
    await expect(openAuthority(directory)).rejects.toMatchObject({
      code: "bad-authority",
      who: file,
      message: expect.stringContaining("restore it"),
    });
  });

  test("is refused when key and certificate are of two authorities", async () => {
    const [mine, other] = [makeDirectory(), makeDirectory()];
    await openAuthority(mine);
    await openAuthority(other);
    const read = (directory: string) => readFileSync(join(directory, "ca.key"), "utf8");
    const at = read(mine).indexOf("-----BEGIN PRIVATE");
    const key = read(other).slice(read(other).indexOf("-----BEGIN PRIVATE"));
    writeFileSync(join(mine, "ca.key"), read(mine).slice(0, at) + key);
    await expect(openAuthority(mine)).rejects.toMatchObject({ code: "bad-authority" });
  });
});

describe("the leaf", () => {
  async function makeLeaf() {
    const directory = makeDirectory();
    const authority = await openAuthority(directory);
    const now = Date.now();
    const leaf = await authority.serverCertificate(names, now);
    const again = async (wanted = names, at = now) =>
      (await (await openAuthority(directory)).serverCertificate(wanted, at)).cert === leaf.cert;
    return { directory, authority, now, leaf, again };
  }

  test("is for all names, for a server, from this authority, for 90 days", async () => {
    const { authority, now, leaf } = await makeLeaf();
    const certificate = new X509Certificate(leaf.cert);
    expect(certificate.checkHost("localhost")).toBe("localhost");
    expect(certificate.checkHost("nas.example")).toBe("nas.example");
    expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(certificate.checkIP("::1")).toBeDefined();
    expect(certificate.checkHost("other.example")).toBeUndefined();
    expect(certificate.verify(new X509Certificate(readFileSync(authority.caFile)).publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    const days = (Date.parse(certificate.validTo) - now) / dayMs;
    expect(Math.round(days)).toBe(90);
  });

  test.each([
    ["the same names", names, 0, true],
    ["fewer names", names.slice(1), 0, true],
    ["the same names, 59 days on", names, 59, true],
    ["the same names, 61 days on", names, 61, false],
    ["the same names, a year on", names, 365, false],
    ["a new host name", [...names, "new.example"], 0, false],
    ["a new address", [...names, "10.0.0.5"], 0, false],
  ])("for %s: kept %s", async (_, wanted, days, kept) => {
    const { again, now } = await makeLeaf();
    expect(await again(wanted, now + days * dayMs)).toBe(kept);
  });

  test.each([
    ["garbage", () => "x"],
    ["without its key", (text: string) => text.slice(0, text.indexOf("-----BEGIN PRIVATE"))],
    ["gone", undefined],
  ])("that is %s is made anew", async (_, spoil) => {
    const { directory, again } = await makeLeaf();
    const file = join(directory, "leaf.pem");
    if (spoil === undefined) rmSync(file);
    else writeFileSync(file, spoil(readFileSync(file, "utf8")));
    expect(await again()).toBe(false);
    expect(modeOf(file)).toBe("600");
  });

  test("of an authority that is gone is made anew", async () => {
    const { directory, again } = await makeLeaf();
    for (const file of ["ca.key", "ca.pem"]) rmSync(join(directory, file));
    expect(await again()).toBe(false);
  });
});
