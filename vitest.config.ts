import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const rooms = "{shared,agent,resolver,socks-proxy,cli,bench,test}";

export default defineConfig({
  test: {
    reporters: ["default", "./test/summary-reporter.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: [`${rooms}/**/*.test.ts`],
          exclude: ["test/whole-path/**", "test/testbed/**", "**/*.worker.test.ts"],
        },
      },
      {
        // In workerd itself, on its real Durable Object storage and a local Workers KV.
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: {
                BERTH_AGENT_TOKEN: "agent-token",
                BERTH_READER_TOKEN: "reader-token",
                BERTH_ADMIN_TOKEN: "admin-token",
              },
            },
          }),
        ],
        test: { name: "worker", include: [`${rooms}/**/*.worker.test.ts`] },
      },
      {
        // Engines, namespaces and browsers are scarce on a two-core machine: one file at a time.
        test: {
          name: "whole-path",
          include: ["test/whole-path/**/*.test.ts", "test/testbed/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
