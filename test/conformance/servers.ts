import { chmodSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";

import { serviceRecords } from "../../client/testing/doh-server.ts";
import { freePort } from "../../shared/testing/free-port.ts";
import { startBed } from "../../socks-proxy/testing/proxy.ts";
import { mustRun, startProcess } from "../testbed/process.ts";
import { programPath } from "../testbed/requirements.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import type { ServerName } from "./row.ts";

/** A SOCKS server twice: one that lets everybody in, and one that lets in `me` with the password `secret`. Both at 127.0.0.1. */
export interface StartedServer {
  port: number;
  guardedPort: number;
  /** A name by which it finds the echo server. */
  echoName: string;
  /** A name that nobody has. */
  absentName: string;
  close(): Promise<void>;
}

/** `echoPort` is where the servers' one target listens. Throws one clear sentence when a program is missing. */
export function startServer(name: ServerName, echoPort: number): Promise<StartedServer> {
  switch (name) {
    case "berth":
      return startBerth(echoPort);
    case "microsocks":
      return startMicrosocks();
    case "dante":
      return startDante();
  }
}

async function startBerth(echoPort: number): Promise<StartedServer> {
  const dir = makeTemporaryDir("berth-conformance-");
  const usersFile = join(dir.path, "users");
  writeFileSync(usersFile, "me:secret\n", { mode: 0o600 });
  const endpoints = [{ address: "127.0.0.1", port: echoPort }];
  const records = (["tcp", "udp"] as const).flatMap((protocol) =>
    serviceRecords("echo.berth.internal", echoPort, endpoints, protocol),
  );
  // Nothing here restarts: without patience a refused port is told at once.
  const open = await startBed(records, { restartPatience: 0 });
  const guarded = await startBed(records, { restartPatience: 0, usersFile });
  return {
    port: open.port,
    guardedPort: guarded.port,
    echoName: "echo.berth.internal",
    absentName: "nobody.berth.internal",
    async close() {
      await Promise.all([open.close(), guarded.close()]);
      dir.remove();
    },
  };
}

async function startMicrosocks(): Promise<StartedServer> {
  const program = mustHave("microsocks", "microsocks");
  const [port, guardedPort] = [await freePort(), await freePort()];
  const at = (where: number) => [program, "-i", "127.0.0.1", "-p", `${where}`];
  const processes = [
    startProcess(at(port)),
    startProcess([...at(guardedPort), "-u", "me", "-P", "secret"], { name: "microsocks with a password" }),
  ];
  await Promise.all([accepting(port), accepting(guardedPort)]);
  return {
    port,
    guardedPort,
    echoName: "localhost",
    absentName: "nobody.invalid",
    close: async () => void (await Promise.all(processes.map((started) => started.stop()))),
  };
}

/** Its users are the system's: the guarded one sees a passwd and a shadow of its own, in a mount namespace of its own. */
async function startDante(): Promise<StartedServer> {
  const program = mustHave("danted", "dante-server");
  const dir = makeTemporaryDir("berth-conformance-");
  const file = (name: string, text: string, mode = 0o644) => {
    const path = join(dir.path, name);
    writeFileSync(path, text, { mode });
    return path;
  };
  // Its children, which are somebody else, read their configuration again.
  chmodSync(dir.path, 0o755);
  const [port, guardedPort] = [await freePort(), await freePort()];
  const hash = (await mustRun(["openssl", "passwd", "-6", "secret"])).trim();
  const passwd = file("passwd", `${await readFile("/etc/passwd", "utf8")}me:x:64999:64999::/:/bin/false\n`);
  const shadow = file(
    "shadow",
    `${await readFile("/etc/shadow", "utf8")}me:${hash}:19000:0:99999:7:::\n`,
    0o600,
  );
  const argv = (name: string, config: string) => [
    program,
    "-p",
    join(dir.path, `${name}.pid`),
    "-f",
    file(`${name}.conf`, config),
  ];
  const guarded = argv("guarded", danteConfig(guardedPort, "username")).join(" ");
  const script = `mount --bind ${passwd} /etc/passwd && mount --bind ${shadow} /etc/shadow && exec ${guarded}`;
  const processes = [
    startProcess(argv("open", danteConfig(port, "none")), { name: "danted" }),
    startProcess(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], {
      name: "danted with a password",
    }),
  ];
  await Promise.all(processes.map((started) => started.waitForLine(/ running$/)));
  return {
    port,
    guardedPort,
    echoName: "localhost",
    absentName: "nobody.invalid",
    async close() {
      await Promise.all(processes.map((started) => started.stop()));
      dir.remove();
    },
  };
}

function danteConfig(port: number, method: "none" | "username"): string {
  return `logoutput: stderr
internal: 127.0.0.1 port = ${port}
external: lo
clientmethod: none
socksmethod: ${method}
user.privileged: root
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks pass {
  from: 0.0.0.0/0 to: 0.0.0.0/0
  command: bind connect udpassociate bindreply udpreply
}
socks pass {
  from: 0.0.0.0/0 to: ::/0
  command: bind connect udpassociate bindreply udpreply
}
`;
}

function mustHave(program: string, debianPackage: string): string {
  const path = programPath(program);
  if (path === undefined)
    throw new Error(`The suite needs ${program}: on Debian, apt-get install ${debianPackage}.`);
  return path;
}

function accepting(port: number): Promise<unknown> {
  return until(`port ${port} to accept`, () => {
    const { promise, resolve, reject } = Promise.withResolvers<true>();
    const socket = connect({ host: "127.0.0.1", port }, () => resolve(true));
    socket.on("error", reject);
    return promise.finally(() => socket.destroy());
  });
}
