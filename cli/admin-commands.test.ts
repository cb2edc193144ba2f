import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { BerthError } from "../shared/errors.ts";
import { runCommand } from "../test/testbed/process.ts";
import { makeTemporaryDir } from "../test/testbed/temporary-dir.ts";
import { until } from "../test/testbed/wait.ts";
import { auditCommand } from "./audit.ts";
import { backupCommand, restoreCommand } from "./backup.ts";
import { runCommandLine } from "./command-line.ts";
import { hostsCommands } from "./hosts.ts";
import { namesCommands } from "./names.ts";
import { type FakeResolver, startFakeResolver } from "./testing/fake-resolver.ts";
import { tokenCommands } from "./token.ts";

/** The commands against berth's own routes: what they print, where, and how they end. */

const commands = {
  hosts: hostsCommands,
  names: namesCommands,
  token: tokenCommands,
  audit: auditCommand,
  backup: backupCommand,
  restore: restoreCommand,
};
let interrupting = new AbortController();
vi.mock("./interruption.ts", () => ({ interruption: () => interrupting.signal }));
beforeEach(() => {
  interrupting = new AbortController();
});

const directory = makeTemporaryDir("berth-admin-");
const base = directory.path;
const main = fileURLToPath(new URL("main.ts", import.meta.url));
const at = (name: string) => join(base, name);
let resolver: FakeResolver;

beforeAll(async () => {
  resolver = await startFakeResolver();
  vi.stubEnv("BERTH_STATE_DIR", base);
  vi.stubEnv("BERTH_RESOLVER", resolver.url);
  mkdirSync(at("resolver"));
  writeFileSync(at("resolver/admin.token"), "admin-token-1\n");
  writeFileSync(at("reader.token"), "reader-token-1\n");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await resolver?.close();
  directory.remove();
});

/** `berth WORDS` on a machine whose state lies in `base`. */
async function berth(words: string[]) {
  const stdout: string[] = [];
  const stderr: string[] = [];
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation((text, done?: unknown) => {
      stdout.push(String(text));
      if (typeof done === "function") done();
      return true;
    }),
    vi.spyOn(process.stderr, "write").mockImplementation((text) => stderr.push(String(text)) > 0),
    vi.spyOn(console, "log").mockImplementation((text) => void stdout.push(`${text}\n`)),
  ];
  const code = await runCommandLine(commands, words);
  for (const spy of spies) spy.mockRestore();
  return { code, stdout: stdout.join(""), stderr: stderr.join("") };
}

/** The same as a process of its own, its stdout going to a file where `to` names one. */
async function berthProcess(words: string[], to?: string) {
  const env = { BERTH_STATE_DIR: base, BERTH_RESOLVER: resolver.url };
  const argv = [process.execPath, main, ...words];
  return runCommand(to === undefined ? argv : ["sh", "-c", `exec "$@" > ${to}`, "sh", ...argv], { env });
}
const asReader = ["--token-file", join(base, "reader.token")];

describe("berth token", () => {
  test("create prints the token alone, with the scope that was asked for", async () => {
    const scope = [
      "--names",
      "*.shop, web.blog",
      "--hosts",
      "nas,pi",
      "--max-bindings",
      "50",
      "--max-lease",
      "30",
    ];
    const made = await berth([
      "token",
      "create",
      "--kind",
      "agent",
      "--owner",
      "team-a",
      ...scope,
      "--expires",
      "90d",
    ]);
    expect(made).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^berth_[a-z2-7]{10}_[\w-]{43}\n$/),
    });
    expect(made.stderr).toMatch(/^berth: token [a-z2-7]{10} for team-a \(agent\), valid until .*\n$/);
    expect(made.stderr).not.toContain(made.stdout.trim());

    const { stdout } = await berth(["token", "list", "--json"]);
    const [token] = JSON.parse(stdout).tokens;
    expect(token).toMatchObject({
      kind: "agent",
      scope: { names: ["*.shop", "web.blog"], hosts: ["nas", "pi"], maxBindings: 50, maxLease: 30 },
    });
    expect(token.expiresAt - token.createdAt).toBe(90 * 86_400_000);
  });

  test("create --out makes a new file for its owner alone, and nothing on stdout", async () => {
    const words = ["token", "create", "--kind", "reader", "--owner", "ci", "--out", at("ci.token")];
    expect(await berth(words)).toMatchObject({ code: 0, stdout: "" });
    expect(statSync(at("ci.token")).mode & 0o777).toBe(0o600);
    expect(readFileSync(at("ci.token"), "utf8")).toMatch(/^berth_/);

    const count = (await resolver.tokens()).length;
    const again = await berth(words);
    expect(again).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("ci.token") });
    expect(await resolver.tokens()).toHaveLength(count);
  });

  test("create leaves no file behind when there is no token", async () => {
    const words = ["token", "create", "--kind", "reader", "--owner", "ci", "--out", at("none.token")];
    expect(await berth([...words, ...asReader])).toMatchObject({ code: 2 });
    expect(existsSync(at("none.token"))).toBe(false);
  });

  test.each([
    [["--owner", "a"], /--kind .*one of agent, reader, admin/],
    [["--kind", "agent"], /--owner .*who it is for/],
    [["--kind", "agent", "--owner", "Team A"], /--owner .*lower-case/],
    [
      ["--kind", "agent", "--owner", "a", "--names", "ok.x,*.*"],
      /--names .*"\*\.\*" is not one: a name pattern/,
    ],
    [["--kind", "agent", "--owner", "a", "--hosts", "nas,p_i"], /--hosts .*"p_i" is not one/],
    [["--kind", "agent", "--owner", "a", "--max-bindings", "many"], /--max-bindings .*"many" is not a whole/],
    [["--kind", "agent", "--owner", "a", "--max-lease", "4"], /--max-lease .*"4" .*from 5 to 3600/],
    [["--kind", "agent", "--owner", "a", "--expires", "1y"], /--expires .*"1y" is not a time/],
    [["--kind", "reader", "--owner", "a", "--names", "x"], /only an agent's token has a scope/],
  ])("create %j is refused in one line", async (words, why) => {
    const { code, stdout, stderr } = await berth(["token", "create", ...words]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(why);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("revoke ends each token that is named, and says which it did not find", async () => {
    const made = await berth(["token", "create", "--kind", "reader", "--owner", "ci"]);
    const id = made.stdout.slice(6, 16);
    const ended = await berth(["token", "revoke", "zzzzzzzzzz", id]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toBe(
      `berth: there is no token with the id zzzzzzzzzz; berth token list shows them\nberth: ${id} is revoked; its names go with the lease; berth hosts withdraw HOST takes them out at once\n`,
    );
    expect((await berth(["token", "list"])).stdout).toMatch(new RegExp(`^${id} +reader .* revoked `, "m"));
    expect(await berth(["token", "revoke", id])).toMatchObject({ code: 0 });
  });

  test("revoke is not told a token, nor nothing", async () => {
    const { stdout } = await berth(["token", "create", "--kind", "reader", "--owner", "ci"]);
    const told = await berth(["token", "revoke", stdout.trim()]);
    expect(told.code).toBe(2);
    expect(told.stderr).not.toContain(stdout.trim());
    expect(await berth(["token", "revoke"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/not nothing/),
    });
  });
});

describe("berth names", () => {
  test("lists who holds what, all or some", async () => {
    expect((await berth(["names", ...asReader])).stdout).toMatch(
      /^NAME.*\nold\.berth\.internal .*kept until .*\nweb\.shop\.berth\.internal .*served +pi \(team-b\)\n$/,
    );
    expect((await berth(["names", "--kept"])).stdout).not.toContain("web.shop");
    const waiting = await berth(["names", "list", "--waiting", "--json"]);
    expect(JSON.parse(waiting.stdout).names).toMatchObject([{ name: "web.shop.berth.internal." }]);
  });

  test("release frees a kept name, and no other", async () => {
    const freed = { code: 0, stdout: "", stderr: "berth: old.berth.internal is freed\n" };
    expect(await berth(["names", "release", "old"])).toEqual(freed);
    expect(await berth(["names", "release", "none.berth.internal"])).toMatchObject({
      code: 1,
      stderr: "berth: nobody holds none.berth.internal\n",
    });
    const live = await berth(["names", "release", "web.shop"]);
    expect(live.code).toBe(2);
    expect(live.stderr).toContain("web.shop.berth.internal is served by nas;");
  });
});

test("berth hosts withdraw takes a host out, by its label", async () => {
  expect((await berth(["hosts"])).stdout).toMatch(/^HOST .*\nnas /);
  expect(await berth(["hosts", "withdraw", "nas"])).toMatchObject({
    code: 0,
    stderr: "berth: nas is withdrawn\n",
  });
  expect(resolver.withdrawn).toEqual(["a".repeat(52)]);
  expect(await berth(["hosts", "withdraw", "pi"])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/no host "pi"/),
  });
  expect(await berth(["hosts", "withdraw", "b".repeat(52)])).toMatchObject({ code: 1 });
});

test("berth audit lists what was done, the newest last", async () => {
  const { code, stdout } = await berth(["audit", "--limit", "2"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^TIME .*\n.* operator \(bootstrap-admin\) .*\n.*\n$/);
  expect(await berth(["audit", "--limit", "1001"])).toMatchObject({ code: 2 });
});

describe("berth backup and restore", () => {
  test("write the registry to a new file, and put it back", async () => {
    const written = await berth(["backup", at("copy.db")]);
    expect(written).toMatchObject({ code: 0, stdout: "" });
    expect(statSync(at("copy.db")).mode & 0o777).toBe(0o600);
    expect(readFileSync(at("copy.db"), "latin1")).toBe(resolver.registry);
    expect(readdirSync(base).filter((name) => name.endsWith(".part"))).toEqual([]);

    expect(await berth(["restore", at("copy.db"), "--yes"])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^restored; there are 1 tokens and 4 held names now, and 2 hosts with 30 bindings\n$/,
      ),
    });
    expect(resolver.restored).toEqual([resolver.registry]);
  });

  test("restore is told --yes by the launcher too", async () => {
    writeFileSync(at("copy-3.db"), resolver.registry);
    const launcher = fileURLToPath(new URL("../berth", import.meta.url));
    const env = { BERTH_STATE_DIR: base, BERTH_RESOLVER: resolver.url };
    const restored = await runCommand([launcher, "restore", at("copy-3.db"), "--yes"], { env });
    expect(restored).toMatchObject({ code: 0, stdout: expect.stringMatching(/^restored;/) });
  }, 30_000);

  test("backup overwrites nothing, and leaves nothing when it fails", async () => {
    writeFileSync(at("there.db"), "mine");
    expect(await berth(["backup", at("there.db")])).toMatchObject({ code: 2 });
    expect(readFileSync(at("there.db"), "utf8")).toBe("mine");
    expect(await berth(["backup", at("new.db"), ...asReader])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/reader\.token was sent, and an admin's is needed/),
    });
    expect(readdirSync(base).filter((name) => name.startsWith("new.db"))).toEqual([]);
  });

  test("a copy that breaks off is no backup", async () => {
    // @hono/node-server reports it there itself.
    const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
    resolver.breakOff = true;
    const broken = await berth(["backup", at("half.db")]);
    resolver.breakOff = false;
    reported.mockRestore();
    expect(broken).toMatchObject({ code: 1, stderr: expect.stringMatching(/broke off/) });
    expect(readdirSync(base).filter((name) => name.startsWith("half.db"))).toEqual([]);
  });

  test("an interruption ends a backup, and leaves nothing of it", async () => {
    resolver.isSlow = true;
    const begun = berth(["backup", at("slow.db")]);
    await until("the copy to begin", () => existsSync(at("slow.db.part")));
    interrupting.abort(new BerthError("interrupted", "interrupted", { retryable: true }));
    resolver.isSlow = false;
    expect(await begun).toEqual({ code: 1, stdout: "", stderr: "berth: interrupted\n" });
    expect(readdirSync(base).filter((name) => name.startsWith("slow.db"))).toEqual([]);
  });

  test("backup - writes to stdout and nothing else to it", async () => {
    expect(await berthProcess(["backup", "-"])).toEqual({ code: 0, stdout: resolver.registry, stderr: "" });
  }, 30_000);

  test("restore asks, and takes no other file", async () => {
    resolver.restored.length = 0;
    writeFileSync(at("copy-2.db"), resolver.registry);
    expect(await berth(["restore", at("copy-2.db")])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--yes/),
    });
    writeFileSync(at("text"), "not a database");
    expect(await berth(["restore", at("text"), "--yes"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is not a backup/),
    });
    expect(await berth(["restore", at("nowhere"), "--yes"])).toMatchObject({ code: 2 });
    expect(resolver.restored).toEqual([]);
  });
});

describe("whatever is asked", () => {
  test("without an admin's token here, the file that lacks is named", async () => {
    vi.stubEnv("BERTH_STATE_DIR", at("elsewhere"));
    const asked = await berth(["token", "list"]);
    vi.stubEnv("BERTH_STATE_DIR", base);
    expect(asked).toMatchObject({ code: 2, stdout: "" });
    expect(asked.stderr).toContain(`${at("elsewhere/resolver")} has no admin.token`);
  });

  test("a resolver that does not answer gives way to the next one", async () => {
    const urls = `http://127.0.0.1:1,${resolver.url}`;
    expect(await berth(["token", "list", "--resolver", urls])).toMatchObject({ code: 0 });
    expect(await berth(["token", "list", "--resolver", "http://127.0.0.1:1"])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is it running\?/),
    });
  });

  test("output that cannot be written is no success", async () => {
    expect(await berthProcess(["token", "list"], "/dev/full")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/could not be written/),
    });
  }, 30_000);

  test.each([
    [["token", "destroy"], 2, /no command "token destroy"; berth token --help lists them/],
    [["token", "--help"], 0, /revoke .*end tokens/],
    [["names", "--help"], 0, /berth names alone is berth names list/],
    [["backup", "--help"], 0, /Usage: berth backup FILE \[FLAGS\]/],
  ])("berth %j is answered", async (words, code, says) => {
    const asked = await berth(words);
    expect(asked.code).toBe(code);
    expect(code === 0 ? asked.stdout : asked.stderr).toMatch(says);
  });
});
