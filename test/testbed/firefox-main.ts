import { join } from "node:path";
import puppeteer from "puppeteer-core";
import type { FirefoxRequest } from "./firefox.ts";

// Opens one page in Debian's Firefox and prints what came of it: `firefox-main.ts '{"url", "home", "preferences"}'`. A process of its own,
// because Firefox is driven through a port, which only those in its network namespace reach.

/** Its own traffic would show up in the logs of the proxy under test. */
const quiet = {
  "app.normandy.enabled": false,
  "browser.region.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
};

const { url, home, preferences = {} } = JSON.parse(process.argv[2] ?? "{}") as FirefoxRequest;
const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath: "/usr/bin/firefox-esr",
  headless: true,
  userDataDir: join(home, "profile"),
  env: { ...process.env, HOME: home, TMPDIR: home },
  extraPrefsFirefox: { ...quiet, ...preferences },
});
try {
  console.log(JSON.stringify(await open()));
} finally {
  await browser.close();
}

async function open() {
  try {
    const page = await browser.newPage();
    const response = await page.goto(url, { timeout: 30_000 });
    return { status: response?.status() ?? 0, title: await page.title(), body: await page.content() };
  } catch (error) {
    return { status: 0, title: "", body: "", error: error instanceof Error ? error.message : String(error) };
  }
}
