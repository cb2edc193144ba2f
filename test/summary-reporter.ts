import type { Reporter, TestModule } from "vitest/node";

/** Closes every run with one plain line, and counts a skipped test as a failure in CI: what was not run was not proven. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      if (tests.length === 0 && !module.ok()) count.failed++;
      for (const test of tests) {
        const { state } = test.result();
        count[state === "pending" ? "skipped" : state]++;
      }
    }
    const isSkipForbidden = isInCi() && count.skipped > 0;
    if (isSkipForbidden) process.exitCode = 1;
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  }
}

/** CI systems set CI=true; a developer's CI=false or CI=0 means what it says. */
function isInCi(): boolean {
  return !["", "0", "false"].includes(process.env.CI?.toLowerCase() ?? "");
}
