import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const rooms = "{shared,client,agent,resolver,socks-proxy,cli,bench,test}";

/** They start processes, or look at thousands of cases: a part of every whole run, but not of the quick check. */
const slow = [
  "cli/{launcher,admin-commands,thread-pool}.test.ts",
  "agent/{agent-lock,token-file,lease/lease-keeper-wire,status/slow-clients,relay/tcp-relay*}.test.ts",
  "socks-proxy/{drain,hostile-clients,relay/relay,transparent/transparent,socks/torsocks}.test.ts",
  "socks-proxy/http/http-{messages,time-limits}.test.ts",
  "shared/{dns/hostile,changes-client}.test.ts",
  "client/{connect/connector,process-exit,answers/serve-stale}.test.ts",
  "resolver/{node,store/sqlite-faults}.test.ts",
  "agent/declare/heavy-labels.test.ts",
  "test/{agent-weight,client-package}.test.ts",
  "test/fuzz/fuzz.test.ts",
];

/** They put other modules in the place of what they test with, which no other file may find. */
const alone = ["resolver/{tokens,cached-tokens,token-text}.test.ts"];

/** For tests that take milliseconds: a machine may be doing something else, and a hang is one after half a minute too. */
const patience = { testTimeout: 30_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    reporters: ["default", "./test/summary-reporter.ts"],
    projects: [
      {
        test: {
          name: "unit",
          ...patience,
          include: [`${rooms}/**/*.test.ts`],
          exclude: ["test/{whole-path,testbed,conformance}/**", "**/*.worker.test.ts", ...slow, ...alone],
          // One load of the modules for all files of a worker: half the time. So what a test stubs has to be gone after it.
          isolate: false,
          restoreMocks: true,
          unstubEnvs: true,
          unstubGlobals: true,
        },
      },
      { test: { name: "alone", ...patience, include: alone } },
      { test: { name: "slow", ...patience, include: slow } },
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
        test: { name: "worker", ...patience, include: [`${rooms}/**/*.worker.test.ts`] },
      },
      {
        // Engines, namespaces and browsers are scarce on a two-core machine: one file at a time.
        test: {
          name: "whole-path",
          include: ["test/{whole-path,testbed,conformance}/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
