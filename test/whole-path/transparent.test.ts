import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { RRType } from "../../shared/dns/constants.ts";
import { encodeQuery } from "../../shared/dns/message.ts";
import { parseName } from "../../shared/name.ts";
import { type DnsReply, parseDnsReply } from "../testbed/dns-reply.ts";
import { createNetns, type Netns, randomSuffix } from "../testbed/netns.ts";
import { mustRun, runCommand, startProcess } from "../testbed/process.ts";
import type { StartedProcess } from "../testbed/started-process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { sendFromPortZero } from "./from-port-zero.ts";

const main = fileURLToPath(new URL("transparent-main.ts", import.meta.url));
const web = "web.shop.berth.internal";
const echo = "echo.shop.berth.internal";
const dnsAddress = "127.64.0.1";

let netns: Netns;
let dir: TemporaryDir;
let transparent: StartedProcess;
let httpd: StartedProcess;
let resolvConf: string;

beforeAll(async () => {
  netns = await createNetns(`berth-t-${randomSuffix()}`);
  dir = makeTemporaryDir("berth-t-");
  // Another user's process keeps its state and reads its pages there.
  chmodSync(dir.path, 0o777);
  resolvConf = join(dir.path, "resolv.conf");
  writeFileSync(resolvConf, `nameserver ${dnsAddress}\n`);
  writeFileSync(join(dir.path, "index.html"), "a page of a container\n");
  await giveAddresses(netns.name);
  httpd = inNetns(["busybox", "httpd", "-f", "-p", "127.0.0.1:18080", "-h", dir.path]);
  transparent = inNetns([process.execPath, main, join(dir.path, "state")]);
  await transparent.waitForLine(/^ready$/);
});

afterAll(async () => {
  await transparent?.stop();
  await httpd?.stop();
  await netns?.remove();
  dir?.remove();
});

describe("dig and kdig", () => {
  test("get an address of each family for a service name, and the name for each address", async () => {
    const ipv4 = addressIn(await dig(web, "A"));
    expect(ipv4).toMatch(/^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./);
    const ipv6 = addressIn(await dig(web, "AAAA"));
    expect(ipv6).toMatch(/^fd62:6572:7468::/);
    for (const address of [ipv4, ipv6]) expect((await dig("-x", address)).answer[0]?.at(-1)).toBe(`${web}.`);
    expect(addressIn(await kdig(web, "A"))).toBe(ipv4);
    expect(addressIn(await kdig("+tcp", web, "A"))).toBe(ipv4);
    expect(addressIn(await kdig("+tcp", "+keepopen", "WeB.sHoP.berth.internal", "A"))).toBe(ipv4);
  });

  test("get the true negative answers, with the zone's SOA", async () => {
    const absent = await dig("nobody.berth.internal", "A");
    expect([absent.status, absent.authority[0]?.[3]]).toEqual(["NXDOMAIN", "SOA"]);
    const noData = await dig(web, "HTTPS");
    expect([noData.status, noData.answer, noData.authority[0]?.[3]]).toEqual(["NOERROR", [], "SOA"]);
    expect((await dig("berth.internal", "SOA")).answer[0]?.[3]).toBe("SOA");
  });

  test("get from elsewhere what is not ours, and by TCP what does not fit into a datagram", async () => {
    expect(addressIn(await dig("www.example.com", "A"))).toBe("192.0.2.7");
    const cut = await dig("+ignore", "long.example.com", "A");
    expect([cut.flags.includes("tc"), cut.answer]).toEqual([true, []]);
    expect((await dig("long.example.com", "A")).answer).toHaveLength(60);
  });

  test("get what the RFCs say for what is not asked every day", async () => {
    expect((await dig("version.bind", "CH", "TXT")).status).toBe("REFUSED");
    expect((await dig("+opcode=notify", web, "SOA")).status).toBe("NOTIMP");
    expect((await dig("+edns=1", "+noednsnegotiation", web, "A")).status).toBe("BADVERS");
    expect((await dig("+noedns", web, "ANY")).answer).toHaveLength(1);
    expect((await dig("berth.internal", "AXFR")).status ?? "REFUSED").toBe("REFUSED");
    const plain = await dig("+noedns", "+norecurse", "+cdflag", web, "A");
    expect([plain.status, plain.flags]).toEqual(["NOERROR", ["qr", "ra", "cd"]]);
    expect(plain.text).not.toMatch(/WARNING|malformed|mismatch/i);
  });
});

describe("programs that know nothing of berth", () => {
  test("find a name by getent, and its page by a static busybox, over both families", async () => {
    const ipv4 = addressIn(await dig(web, "A"));
    expect(await withNames(["getent", "ahostsv4", web])).toContain(ipv4);
    expect(await withNames(["getent", "hosts", web])).toContain("fd62:6572:7468::");
    expect(await withNames(["getent", "hosts", ipv4])).toContain(web);
    const page = "a page of a container\n";
    expect(await withNames(["busybox", "wget", "-q", "-O", "-", `http://${web}/index.html`])).toBe(page);
    expect(await withNames(["busybox", "wget", "-q", "-O", "-", `http://${web}:8080/index.html`])).toBe(page);
    const ipv6 = addressIn(await dig(web, "AAAA"));
    expect(await withNames(["curl", "-q", "-sS", "--noproxy", "*", `http://[${ipv6}]/index.html`])).toBe(
      page,
    );
  });

  test("get their datagrams to a UDP service and back", async () => {
    const argv = ["socat", "-t", "1", "-", `UDP4:${echo}:77`];
    const { stdout } = await runCommand(names(argv), { netns: netns.name, input: "x" });
    expect(stdout).toBe("echo x");
  });

  test("cannot end it by datagrams from port 0, which nobody can answer", async () => {
    const service = addressIn(await dig(echo, "A"));
    const query = encodeQuery(parseName("berth.internal"), RRType.SOA);
    await sendFromPortZero(
      netns.name,
      { address: dnsAddress, port: 53, payload: query },
      { address: service, port: 77, payload: "nobody" },
    );
    const argv = ["socat", "-t", "1", "-", `UDP4:${service}:77`];
    const { stdout } = await runCommand(argv, { netns: netns.name, input: "x" });
    expect([stdout, addressIn(await dig(echo, "A"))]).toEqual(["echo x", service]);
  });

  test("ping a name", async () => {
    expect(await withNames(["busybox", "ping", "-4", "-c", "1", web])).toContain(`PING ${web} (127.`);
  });
});

describe("without the permission for low ports", () => {
  test("the port is a stated problem, with its mends, and the name's other port is served", async () => {
    const state = join(dir.path, "other-state");
    const own = await createNetns(`berth-t-${randomSuffix()}`);
    const argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
    const page = startProcess(["busybox", "httpd", "-f", "-p", "127.0.0.1:18080", "-h", dir.path], {
      netns: own.name,
    });
    const plain = startProcess([...argv, process.execPath, main, state, "5353"], { netns: own.name });
    try {
      await plain.waitForLine(/^ready$/);
      const { stdout } = await runCommand(["dig", `@${dnsAddress}`, "-p", "5353", "+short", web, "A"], {
        netns: own.name,
      });
      const address = stdout.trim();
      const line = await plain.waitForLine(/tcp\/80 cannot be served/);
      expect(line).toMatch(/need a permission.*system unit.*setcap.*ip_unprivileged_port_start/);
      const url = `http://${address}:8080/index.html`;
      expect(await mustRun(["busybox", "wget", "-q", "-O", "-", url], { netns: own.name })).toContain("page");
    } finally {
      await plain.stop();
      await page.stop();
      await own.remove();
    }
  });

  test("DNS itself says what is needed, and ends", async () => {
    const argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", process.execPath, main];
    const other = await createNetns(`berth-t-${randomSuffix()}`);
    try {
      const { code, stderr } = await runCommand([...argv, join(dir.path, "third")], { netns: other.name });
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/DNS cannot be answered.*127\.64\.0\.1:53.*permission.*--dns-listen/);
    } finally {
      await other.remove();
    }
  });
});

/** An interface beside loopback, without which the C library asks for no addresses at all, and IPv6 addresses for names. */
async function giveAddresses(name: string): Promise<void> {
  const ip = (...args: string[]) => mustRun(["ip", "-n", name, ...args]);
  await ip("link", "add", "lan", "type", "bridge");
  await ip("address", "add", "198.51.100.2/24", "dev", "lan");
  await ip("-6", "address", "add", "2001:db8::2/64", "dev", "lan", "nodad");
  await ip("link", "set", "lan", "up");
  await ip("-6", "route", "add", "local", "fd62:6572:7468::/64", "dev", "lo");
  await mustRun(["sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1"], { netns: name });
}

function inNetns(argv: string[]): StartedProcess {
  return startProcess(argv, { netns: netns.name });
}

/** With a resolv.conf of its own, in a mount namespace of its own. */
function names(argv: string[]): string[] {
  const script = `mount --bind ${resolvConf} /etc/resolv.conf && exec "$@"`;
  return ["unshare", "--mount", "sh", "-c", script, "sh", ...argv];
}

async function withNames(argv: string[]): Promise<string> {
  return mustRun(names(argv), { netns: netns.name });
}

async function dig(...args: string[]): Promise<DnsReply> {
  return ask(["dig", `@${dnsAddress}`, "+timeout=5", "+tries=1", ...args]);
}

async function kdig(...args: string[]): Promise<DnsReply> {
  return ask(["kdig", `@${dnsAddress}`, "+timeout=5", "+retry=0", ...args]);
}

async function ask(argv: string[]): Promise<DnsReply> {
  const { code, stdout, stderr } = await runCommand(argv, { netns: netns.name, timeoutMs: 20_000 });
  return parseDnsReply(code, stdout + stderr);
}

function addressIn(reply: DnsReply): string {
  const address = reply.answer[0]?.at(-1);
  if (address === undefined) throw new Error(`no address:\n${reply.text}`);
  return address;
}
