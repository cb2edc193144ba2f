import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openInChromium, type PageResult } from "../testbed/browser.ts";
import { openInFirefox } from "../testbed/firefox.ts";
import { runCommand } from "../testbed/process.ts";
import { type ClientRoom, createClientRoom, outsideName } from "./client-room.ts";

const page = readFileSync(new URL("../../docs/clients.md", import.meta.url), "utf8");
const shop = "http://web.shop.berth.internal/";

/** What a line of docs/clients.md has to bring, by program and way. */
const expected: Record<string, RegExp> = {
  "curl, SOCKS5": /the shop/,
  "curl, SOCKS4a": /the shop/,
  "curl, HTTP proxy": /the shop/,
  "curl, HTTP proxy, CONNECT": /the shop/,
  "curl, ALL_PROXY": /the shop/,
  "busybox wget, HTTP proxy": /the shop/,
  "Chromium, SOCKS5": /^the shop$/,
  "Chromium, HTTP proxy": /^the shop$/,
  "Chromium, PAC": /^the shop$/,
  "Firefox, SOCKS5": /^the shop$/,
  "Firefox, PAC": /^the shop$/,
  "nc (OpenBSD), SOCKS5": /200 OK[\s\S]*the shop/,
  "nc (OpenBSD), HTTP proxy, CONNECT": /200 OK[\s\S]*the shop/,
  "OpenSSH, ProxyCommand": /^reached\n$/,
  "git, SOCKS5": /^hello from git\n$/,
  "git, HTTP proxy": /^hello from git\n$/,
  "git, ssh": /^hello from git\n$/,
  "git, proxychains4": /^hello from git\n$/,
  "psql, proxychains4": /\b42\b/,
  "redis-cli, proxychains4": /^PONG\n$/,
  "curl, proxychains4": /the shop/,
  "curl, torsocks": /the shop/,
  "psql, torsocks": /\b42\b/,
  "PySocks, SOCKS5": /200 OK[\s\S]*the shop/,
  "PySocks, SOCKS4a": /200 OK[\s\S]*the shop/,
  "PySocks, HTTP proxy, CONNECT": /200 OK[\s\S]*the shop/,
  "PySocks, SOCKS5, UDP": /^echoed\n$/,
  "Java, SOCKS5": /the shop/,
  "Java, HTTP proxy": /the shop/,
  "curl, transparent": /the shop/,
  "busybox wget, static, transparent": /the shop/,
  "psql, transparent": /\b42\b/,
  "redis-cli, transparent": /^PONG\n$/,
  "OpenSSH, transparent": /^reached\n$/,
  "git, transparent": /^hello from git\n$/,
  "git, transparent, ssh": /^hello from git\n$/,
  "Java, transparent": /the shop/,
  "Python, transparent": /the shop/,
  "nc (OpenBSD), transparent, UDP": /^echoed\n$/,
  "getent (glibc), transparent": /^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+\s+STREAM/m,
  "ping (iputils), transparent": /127\.\d+\.\d+\.\d+[\s\S]*1 received/,
  "getent (glibc), transparent, a name outside": new RegExp(`^${outsideName.address}\\s+STREAM`, "m"),
};

/** What prints the version of a program, by its name in the table. */
const versionLines: Record<string, string> = {
  curl: "curl --version",
  "busybox wget": "busybox",
  "nc (OpenBSD)": "nc -h",
  OpenSSH: "ssh -V",
  git: "git --version",
  psql: "psql --version",
  "redis-cli": "redis-cli --version",
  PySocks: "python3 -c 'import socks; print(socks.__version__)'",
  Java: "java -version",
  Python: "python3 --version",
  glibc: "ldd --version | sed 's/.*)//'",
  iputils: "ping -V",
};

interface Row {
  program: string;
  key: string;
  way: string;
  line: string;
}

const rows = rowsOf(page);
const programs = [...new Set(rows.map(({ program }) => program))];

describe("docs/clients.md", () => {
  it("says of each client that is run here what to type, and of no other", () => {
    expect(rows.map(({ key }) => key)).toEqual(Object.keys(expected));
  });

  it("names the version of each browser, which changes from month to month", () => {
    const browsers = programs.filter((program) => /^(Chromium|Firefox)\b/.test(program));
    expect(browsers.join()).toMatch(/^Chromium \d+,Firefox \d+$/);
  });

  it.each(Object.entries(versionLines))("names the version of %s that is typed here", async (name, line) => {
    const env = { PATH: "/usr/bin:/bin", LC_ALL: "C.UTF-8" };
    const { stdout, stderr } = await runCommand(["sh", "-c", line], { env, timeoutMs: 30_000 });
    const [version] = /\d[\d.]*/.exec(stdout + stderr) ?? expect.fail(`${line} names no version: ${stderr}`);
    const named = programs.filter(
      (program) => program.startsWith(`${name} `) || program.includes(`(${name} `),
    );
    expect(named).not.toEqual([]);
    for (const program of named) {
      const [said = ""] = /\d[\d.]*/.exec(program) ?? [];
      expect(`${version}.`.startsWith(`${said}.`), `${program} is ${version}`).toBe(true);
    }
  });

  it("names no version that is not looked at here", () => {
    const names = [...Object.keys(versionLines), "Chromium", "Firefox"];
    const others = programs.filter((program) => !names.some((name) => program.includes(`${name} `)));
    expect(others).toEqual([]);
  });
});

describe("a real client reaches a real server by its name", () => {
  let room: ClientRoom;

  beforeAll(async () => {
    room = await createClientRoom();
    for (const [, name = "", text = ""] of page.matchAll(/^```[a-z]+ ([\w.]+)\n([\s\S]*?\n)```$/gm))
      writeFileSync(join(room.home, name), text);
  });
  afterAll(async () => {
    await room?.close();
  });

  it.each(rows)("$key", async ({ key, way, line }) => {
    const wanted = expected[key] ?? expect.fail("nothing is expected of it");
    if (key.startsWith("Chromium")) return expect(titleOf(await chromium(line))).toMatch(wanted);
    if (key.startsWith("Firefox")) return expect(titleOf(await firefox(line))).toMatch(wanted);
    const whole = line.replace("REPOSITORIES", room.repositories);
    const cloned = /^(?:.* )?git .*clone .* (\S+)$/.exec(whole)?.[1];
    const typed = cloned === undefined ? whole : `${whole} && cat ${cloned}/hello.txt`;
    const { code, stdout, stderr } = await (way.startsWith("transparent") ? room.typeWithDns : room.type)(
      typed,
    );
    const told = `${typed}\nstatus ${code}: ${stderr}`;
    expect(stdout, told).toMatch(wanted);
    expect(code, told).toBe(0);
  });

  function chromium(line: string): Promise<PageResult> {
    const [option = "", url = ""] = line.split(" ").slice(1);
    return openInChromium(url, { netns: room.netns, extraArgs: [option] });
  }

  function firefox(line: string): Promise<PageResult> {
    const preferences = Object.fromEntries(
      line
        .split(" ")
        .slice(1)
        .map((word) => {
          const [, name = "", value = ""] = /^([^=]+)=(.*)$/.exec(word) ?? [];
          return [name, /^\d+$/.test(value) ? Number(value) : value];
        }),
    );
    return openInFirefox(shop, { netns: room.netns, preferences });
  }

  function titleOf(opened: PageResult): string {
    return opened.error ?? opened.title;
  }
});

/** The lines of every table with a column of lines. */
function rowsOf(text: string): Row[] {
  return [...text.matchAll(/^\| (.*?) \| (.*?) \| `(.*)` \|$/gm)].map(
    ([, program = "", way = "", line = ""]) => {
      // A version is what follows a space and begins with a digit, or the digits within brackets.
      const name = program.replace(/ \d[\d.]*(?=[,)]|$)/g, "");
      return { program, key: `${name}, ${way}`, way, line: line.replaceAll("\\|", "|") };
    },
  );
}
