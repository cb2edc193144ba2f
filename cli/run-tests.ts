import { spawn } from "node:child_process";
import { once } from "node:events";

import type { Command } from "./command.ts";
import { installPackages, missingPackages, withServicesStopped } from "./debian.ts";
import { interruption } from "./interruption.ts";

/**
 * What the tests start, besides npm packages: engine, image, network, browsers, DNS clients and servers, etcd, promtool; other SOCKS servers
 * to judge the same way; programs that reach names through the proxy, and the services they talk to.
 */
const testPackages = [
  "docker.io",
  "docker-compose",
  "busybox-static",
  "iproute2",
  "iptables",
  "util-linux",
  "procps",
  "openssl",
  "curl",
  "wget",
  "socat",
  "chromium",
  "knot-dnsutils",
  "bind9-dnsutils",
  "etcd-server",
  "etcd-client",
  "podman",
  "runc",
  "fuse-overlayfs",
  "slirp4netns",
  "uidmap",
  "netavark",
  "aardvark-dns",
  "openssh-client",
  "openssh-server",
  "prometheus",
  "systemd-container",
  "debootstrap",
  "dnsmasq-base",
  "firefox-esr",
  "libnss3-tools",
  "microsocks",
  "dante-server",
  "proxychains4",
  "torsocks",
  "netcat-openbsd",
  "python3-socks",
  "default-jdk-headless",
  "iputils-ping",
  "git",
  "postgresql",
  "postgresql-client",
  "redis-server",
  "redis-tools",
];

/** `berth test`: the one command that passes the tests on a fresh machine. The launcher has installed the npm packages. */
export const testCommand: Command = {
  summary: "install what the tests need, then run them all",
  options: {},
  async run(argv) {
    const interrupted = interruption();
    const missing = await missingPackages(testPackages);
    await withServicesStopped(() => installPackages(missing, "the tests start them", true, interrupted));
    const root = new URL("..", import.meta.url);
    const npm = spawn("npm", ["test", "--", ...argv], { cwd: root, stdio: "inherit" });
    interrupted.addEventListener("abort", () => npm.kill("SIGTERM"), { once: true });
    const [code] = await once(npm, "exit");
    return code ?? 1;
  },
};
