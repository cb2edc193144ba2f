import { runCommand } from "./process.ts";
import { programPath } from "./requirements.ts";

/** Why metrics cannot be judged by Prometheus' own reader here, or undefined. */
export function whyNoPromtool(): string | undefined {
  return programPath("promtool") === undefined
    ? "promtool is missing: on Debian, apt-get install prometheus"
    : undefined;
}

/** What Prometheus says against a page of metrics, faults and bad habits both; "" when nothing. */
export async function faultsInMetrics(page: string): Promise<string> {
  const { code, stdout, stderr } = await runCommand(["promtool", "check", "metrics"], { input: page });
  const said = `${stdout}${stderr}`.trim();
  return code === 0 ? said : said || `promtool ended with ${code}`;
}
