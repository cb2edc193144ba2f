import { chmodSync, chownSync, globSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { freePort } from "../../shared/testing/free-port.ts";
import { mustRun, startProcess } from "./process.ts";
import { programPath } from "./requirements.ts";
import type { StartedProcess } from "./started-process.ts";

/** Where a server is to listen, and a directory of its own. */
export type ServerPlace = { netns?: string; address: string; dir: string };

/** A server people have, on a port that is free there; it goes with `stopAll`. */
export type RealServer = { port: number; process: StartedProcess };

/** PostgreSQL that trusts everybody, with the superuser `postgres`. */
export async function startPostgres({ netns, address, dir }: ServerPlace): Promise<RealServer> {
  const port = await freePort();
  const bin = postgresBin();
  const data = join(dir, "data");
  mkdirSync(dir, { recursive: true });
  // It refuses to run as root.
  const uid = Number(await mustRun(["id", "-u", "postgres"]));
  const gid = Number(await mustRun(["id", "-g", "postgres"]));
  chownSync(dir, uid, gid);
  chmodSync(dirname(dir), 0o711);
  const asUser = ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  const env = { LC_ALL: "C" };
  const flags = ["--auth=trust", "--username=postgres", "--no-sync", "--no-instructions", "-D", data];
  await mustRun([...asUser, join(bin, "initdb"), ...flags], { cwd: dir, env });
  writeFileSync(join(data, "pg_hba.conf"), "host all all all trust\n");
  const argv = [join(bin, "postgres"), "-D", data, "-h", address, "-p", `${port}`, "-k", dir, "-F"];
  const process = startProcess([...asUser, ...argv], { netns, cwd: dir, env, name: "postgres" });
  await process.waitForLine(/ready to accept connections/, 30_000);
  return { port, process };
}

/** Debian keeps it out of PATH, a version beside the other. */
function postgresBin(): string {
  const found = globSync("/usr/lib/postgresql/*/bin/postgres").toSorted().at(-1) ?? programPath("postgres");
  if (found === undefined)
    throw new Error("The testbed needs PostgreSQL: on Debian, apt-get install postgresql.");
  return dirname(found);
}

export async function startRedis({ netns, address, dir }: ServerPlace): Promise<RealServer> {
  const port = await freePort();
  mkdirSync(dir, { recursive: true });
  const flags = [
    "--bind",
    address,
    "--port",
    `${port}`,
    "--protected-mode",
    "no",
    "--save",
    "",
    "--dir",
    dir,
  ];
  const process = startProcess(["redis-server", ...flags], { netns, name: "redis-server" });
  await process.waitForLine(/Ready to accept connections/, 30_000);
  return { port, process };
}

/** Serves `hello.git` in `dir`, a repository with one file, by git's own protocol. */
export async function startGitDaemon({ netns, address, dir }: ServerPlace): Promise<RealServer> {
  const port = await freePort();
  const at = [`--listen=${address}`, `--port=${port}`, "--reuseaddr"];
  const argv = ["git", "daemon", ...at, `--base-path=${dir}`, "--export-all", "--verbose"];
  const process = startProcess(argv, { netns, name: "git daemon" });
  await process.waitForLine(/Ready to rumble/, 30_000);
  return { port, process };
}

/** Makes `hello.git` in `dir`: a bare repository with one file, fit to be served as plain files too. */
export async function makeRepository(dir: string): Promise<void> {
  const work = join(dir, "work");
  const bare = join(dir, "hello.git");
  mkdirSync(work, { recursive: true });
  const git = (...args: string[]) =>
    mustRun(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", ...args], { cwd: work });
  await git("init", "--quiet", "--initial-branch=main");
  writeFileSync(join(work, "hello.txt"), "hello from git\n");
  await git("add", "hello.txt");
  await git("commit", "--quiet", "--message=hello");
  await git("clone", "--quiet", "--bare", work, bare);
  await mustRun(["git", "--git-dir", bare, "update-server-info"]);
}

/** busybox' httpd with the files of `dir`. */
export async function startHttpd({ netns, address, dir }: ServerPlace): Promise<RealServer> {
  const port = await freePort();
  const argv = ["busybox", "httpd", "-f", "-p", `${address}:${port}`, "-h", dir];
  return { port, process: startProcess(argv, { netns, name: "httpd" }) };
}

/** Answers every datagram with its own octets. */
export async function startUdpServer({ netns, address }: Omit<ServerPlace, "dir">): Promise<RealServer> {
  const port = await freePort();
  const argv = [process.execPath, "--eval", echoProgram, address, `${port}`];
  const started = startProcess(argv, { netns, name: "udp server" });
  await started.waitForLine(/^listening$/);
  return { port, process: started };
}

const echoProgram = `
const socket = require("node:dgram").createSocket({ type: "udp4" });
socket.on("message", (message, peer) => socket.send(message, peer.port, peer.address));
socket.bind(Number(process.argv[2]), process.argv[1], () => console.log("listening"));
`;

/** A recursive resolver, as far as the machine can tell: it knows one name outside, and says NXDOMAIN to all others. */
export async function startOutsideDns(
  { netns, address }: Omit<ServerPlace, "dir">,
  known: { name: string; address: string },
): Promise<RealServer> {
  const port = await freePort();
  const flags = [
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--no-resolv",
    "--no-hosts",
    "--bind-interfaces",
  ];
  const at = [
    `--listen-address=${address}`,
    `--port=${port}`,
    "--user=root",
    "--pid-file",
    "--log-facility=-",
  ];
  const argv = ["dnsmasq", ...flags, ...at, "--local=/#/", `--host-record=${known.name},${known.address}`];
  const process = startProcess(argv, { netns, name: "dnsmasq" });
  await process.waitForLine(/started, version/, 30_000);
  return { port, process };
}
