import { join } from "node:path";
import type { PageResult } from "./browser.ts";
import { runCommand } from "./process.ts";
import { makeTemporaryDir } from "./temporary-dir.ts";

export type FirefoxOptions = {
  /** As about:config has them. */
  preferences?: Record<string, string | number | boolean>;
  netns?: string;
};

/** What firefox-main.ts is told. */
export type FirefoxRequest = Pick<FirefoxOptions, "preferences"> & { url: string; home: string };

/** Opens one page in a Firefox of its own, Debian's ESR, whose profile goes with it. `error` is Firefox's own word when there was no page. */
export async function openInFirefox(
  url: string,
  { preferences = {}, netns }: FirefoxOptions = {},
): Promise<PageResult> {
  const home = makeTemporaryDir("berth-f-");
  const request: FirefoxRequest = { url, home: home.path, preferences };
  const argv = [process.execPath, join(import.meta.dirname, "firefox-main.ts"), JSON.stringify(request)];
  try {
    const { code, stdout, stderr } = await runCommand(argv, { netns, timeoutMs: 90_000 });
    if (code !== 0) throw new Error(`Firefox: status ${code}: ${stderr.trim()}`);
    return JSON.parse(stdout) as PageResult;
  } finally {
    home.remove();
  }
}
