import { expect, test } from "vitest";

import { processesOf } from "./engine-remains.ts";

const all = [
  { pid: 10, parent: 1, argv: ["dockerd", "--data-root", "/tmp/e/data"] },
  { pid: 11, parent: 10, argv: ["/usr/bin/docker-proxy", "-proto", "tcp"] },
  { pid: 12, parent: 1, argv: ["/usr/bin/containerd-shim-runc-v2", "-address", "/tmp/e/exec/sock"] },
  { pid: 13, parent: 12, argv: ["httpd"] },
  { pid: 14, parent: 13, argv: ["sh"] },
  { pid: 20, parent: 1, argv: ["dockerd", "--data-root", "/tmp/e2/data"] },
  { pid: 21, parent: 1, argv: ["tail", "-f", "/tmp/e/log"] },
];

test("an engine's processes are its daemons and all they started, and nobody else's", () => {
  expect(processesOf(all, "/tmp/e").toSorted()).toEqual([10, 11, 12, 13, 14]);
  expect(processesOf(all, "/tmp/other")).toEqual([]);
});
