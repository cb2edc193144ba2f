import { expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import { portProblem, problemText } from "./port-fault.ts";
import { heldPorts, rememberHolders } from "./port-holder.ts";

const at = { protocol: "tcp", address: "127.64.0.5", port: 80 } as const;
const program = "/opt/node";

test("each fault comes with what mends it", () => {
  const text = (errno: string) => problemText(portProblem("web tcp/80", at, errno, { program }));
  expect(text("EACCES")).toContain('"setcap cap_net_bind_service=+ep /opt/node"');
  expect(text("EMFILE")).toContain("LimitNOFILE=");
  expect(text("EADDRNOTAVAIL")).toContain("net.ipv6.ip_nonlocal_bind=1");
  expect(text("EOTHER")).toContain("EOTHER");
  expect(text("EADDRINUSE")).toMatch(/another program has tcp 127\.64\.0\.5:80 already; end it$/);
});

test("an address that another program has can be left to it, where a flag moves ours", () => {
  const elsewhere = "another range with --transparent-range";
  const problem = portProblem("web tcp/80", at, "EADDRINUSE", { program, elsewhere });
  expect(problem.mend).toBe("end it, or choose another range with --transparent-range");
});

test("a program that has the port at every address is named, and told to keep to its own", () => {
  const holder = { address: "0.0.0.0", port: 80, program: "nginx (process 7)" };
  const problem = portProblem("web tcp/80", at, "EADDRINUSE", { program, holder });
  expect(problem.fault).toBe(
    "nginx (process 7) has tcp 0.0.0.0:80, which takes the port at every address of this machine, 127.64.0.5:80 among them",
  );
  expect(problem.mend).toContain("127.0.0.1:80");
});

test("the program that has a port everywhere is looked for once for all names", async () => {
  let now = 0;
  const asked: string[] = [];
  const find = rememberHolders(
    async (_protocol, address, port) => {
      asked.push(`${address} ${port}`);
      return port === 80 ? { address: "0.0.0.0", port } : { address, port };
    },
    () => now,
  );
  const [one, two] = ["127.64.0.5" as Address, "127.64.0.6" as Address];
  await Promise.all([find("tcp", one, 80), find("tcp", two, 80)]);
  for (const address of [one, two]) expect((await find("tcp", address, 443))?.address).toBe(address);
  expect(asked).toEqual(["127.64.0.5 80", "127.64.0.5 443", "127.64.0.6 443"]);
  now = 10_000;
  await find("tcp", two, 80);
  expect(asked).toHaveLength(4);
});

test("bound sockets are read from what the kernel lists", () => {
  const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0500407F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:A1B2 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1`;
  expect(heldPorts(text, "0A")).toEqual([{ address: "127.64.0.5", port: 80, inode: "4711" }]);
  const text6 = `   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 99 1
   1: 000080FE00000000000000000100A8C0:01BC 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 98 1`;
  expect(heldPorts(text6, "0A").map(({ address, port }) => [address, port])).toEqual([
    ["::", 443],
    ["fe80::c0a8:1", 444],
  ]);
});
