import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { leaveToJanitor } from "./janitor.ts";
import { netnsPath } from "./process.ts";
import { makeTemporaryDir } from "./temporary-dir.ts";

export type ChromiumOptions = {
  /** As `--proxy-server` takes it: "socks5://10.77.0.250:1080". */
  proxy?: string | undefined;
  /** URL of a proxy auto-configuration file; see pacUrl for one without a server. */
  pac?: string | undefined;
  netns?: string | undefined;
  extraArgs?: string[] | undefined;
};

/** `error` is Chromium's own word when there was no page, for example ERR_SOCKS_CONNECTION_FAILED; status is 0 then. */
export type PageResult = { status: number; title: string; body: string; error?: string };

export type Chromium = {
  open(url: string, timeoutMs?: number): Promise<PageResult>;
  close(): Promise<void>;
};

/** Opens one page in a browser of its own. */
export async function openInChromium(url: string, options: ChromiumOptions = {}): Promise<PageResult> {
  const chromium = await startChromium(options);
  try {
    return await chromium.open(url);
  } finally {
    await chromium.close();
  }
}

/** Starts Debian's Chromium, headless, with a profile that is removed on close. Cookies and cache last as long. */
export async function startChromium(options: ChromiumOptions = {}): Promise<Chromium> {
  const home = makeTemporaryDir("berth-c-");
  const browser = await puppeteer.launch({
    executablePath: options.netns ? writeWrapper(home.path, options.netns) : chromiumPath,
    headless: true,
    // Over a pipe, not a port: a port opened in another network namespace is out of our reach.
    pipe: true,
    userDataDir: join(home.path, "profile"),
    // HOME, where it looks for certificates and settings, is not ours to touch; TMPDIR, for what a killed one leaves.
    env: { ...process.env, HOME: home.path, TMPDIR: home.path },
    args: chromiumArgs(options),
  });
  // Killed before its profile is removed: dying by itself it writes the profile anew.
  const forget = leaveToJanitor({ kind: "group", id: `${browser.process()?.pid}` });
  return {
    async open(url, timeoutMs = 20_000) {
      const page = await browser.newPage();
      try {
        const response = await page.goto(url, { timeout: timeoutMs });
        const body = (await response?.text()) ?? "";
        return { status: response?.status() ?? 0, title: await page.title(), body };
      } catch (error) {
        return { status: 0, title: "", body: "", error: errorName(error) };
      } finally {
        await page.close();
      }
    },
    async close() {
      await browser.close();
      forget();
      home.remove();
    },
  };
}

/** A proxy auto-configuration script as a URL. */
export function pacUrl(script: string): string {
  return `data:application/x-ns-proxy-autoconfig;base64,${Buffer.from(script).toString("base64")}`;
}

const chromiumPath = "/usr/bin/chromium";

// Chromium's own traffic would show up in the logs of the proxy and resolver under test.
const quietArgs = [
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

function chromiumArgs({ proxy, pac, extraArgs = [] }: ChromiumOptions): string[] {
  return [
    "--no-sandbox", // it refuses to run as root otherwise
    "--disable-gpu",
    "--disable-quic", // HTTP/3 is UDP and would go round a SOCKS proxy
    ...quietArgs,
    ...(proxy ? [`--proxy-server=${proxy}`] : []),
    ...(pac ? [`--proxy-pac-url=${pac}`] : []),
    ...extraArgs,
  ];
}

function writeWrapper(dir: string, netns: string): string {
  const wrapper = join(dir, "chromium");
  writeFileSync(wrapper, `#!/bin/sh\nexec nsenter --net=${netnsPath(netns)} ${chromiumPath} "$@"\n`);
  chmodSync(wrapper, 0o755);
  return wrapper;
}

function errorName(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /net::(ERR_\w+)/.exec(message)?.[1] ?? message;
}
