import { type Address, formatEndpoint } from "../shared/address.ts";
import { BerthError } from "../shared/errors.ts";
import { nameserversIn } from "../shared/resolv-conf.ts";
import type { DnsChange } from "./dns-change.ts";
import type { NameMachine } from "./dns-machine.ts";
import type { DnsSetting, NameService } from "./dns-setting.ts";

export const resolvConf = "/etc/resolv.conf";

const first =
  "# berth: up to the next line that begins so, from `berth dns install`; `berth dns remove` takes it out.";
const firstOfNew = `${first} There was no file.`;
const last = "# berth: end";

/**
 * A resolv.conf that no program writes: our server stands before the ones that were there, and gets every question. Nothing else of the
 * file is touched, so taking our lines out leaves what others have made of it.
 */
export const plainFile: NameService = {
  name: "resolv.conf",
  title: "a plain /etc/resolv.conf",
  files: [resolvConf],

  install(setting, machine) {
    assertIsPlain(machine);
    const was = machine.read(resolvConf);
    const text = withServer(was, setting);
    return text === was ? [] : [{ kind: "write", path: resolvConf, was, text }];
  },

  // Programs read the file themselves: there is nobody to tell.
  applyAgain: () => [],

  remove(machine) {
    const was = machine.read(resolvConf);
    if (was === undefined || machine.linkTarget(resolvConf) !== undefined) return [];
    const text = withoutServer(was);
    return text === was ? [] : [changeTo(was, text)];
  },

  installed(machine) {
    const [, server] = blockIn(machine.read(resolvConf) ?? "") ?? [];
    return server === undefined ? undefined : { zones: undefined, server: { host: server, port: 53 } };
  },
};

function changeTo(was: string, text: string | undefined): DnsChange {
  return text === undefined
    ? { kind: "delete", path: resolvConf, was }
    : { kind: "write", path: resolvConf, was, text };
}

/** A link belongs to whoever made what it leads to, and would be ours to break. */
function assertIsPlain(machine: NameMachine): void {
  const target = machine.linkTarget(resolvConf);
  if (target === undefined) return;
  const message = `${resolvConf} is a link to ${target}, which another program writes; set that program, or make it a file of your own first`;
  throw new BerthError("cannot-set-dns", message, { who: resolvConf });
}

/** The file with our block, and no other of ours, before all else. Throws a BerthError for a server that no such file can name. */
export function withServer(was: string | undefined, { server }: Pick<DnsSetting, "server">): string {
  if (server.port !== 53) {
    const where = formatEndpoint({ address: server.host, port: server.port });
    const message = `a resolv.conf names no ports, and so cannot lead to ${where}; have the proxy answer at port 53 (--dns-listen)`;
    throw new BerthError("cannot-set-dns", message, { who: resolvConf });
  }
  const rest = withoutServer(was ?? firstOfNew) ?? "";
  // Without any server the C library asks this machine.
  const servers = [server.host, ...(nameserversIn(rest).length === 0 ? ["127.0.0.1"] : [])];
  const isNew = was === undefined || (blockIn(was) !== undefined && withoutServer(was) === undefined);
  const lines = [isNew ? firstOfNew : first, ...servers.map((address) => `nameserver ${address}`), last];
  return `${lines.join("\n")}\n${rest}`;
}

/** The file as it is without us, to the octet; undefined when it would not be there. */
export function withoutServer(text: string): string | undefined {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith(first));
  if (start === -1) return text;
  const isNew = lines[start] === firstOfNew;
  const end = lines.indexOf(last, start);
  // Somebody took the end out: then what follows is ours for as long as it looks like it.
  const length = end === -1 ? 1 + serversAfter(lines, start + 1) : end - start + 1;
  const rest = lines.toSpliced(start, length).join("\n");
  return isNew && rest === "" ? undefined : rest;
}

function serversAfter(lines: string[], from: number): number {
  return /^nameserver 127\./.test(lines[from] ?? "") ? 1 : 0;
}

/** The lines of our block, the servers among them as addresses. */
function blockIn(text: string): [string, Address | undefined] | undefined {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith(first));
  if (start === -1) return undefined;
  return [lines[start] ?? "", nameserversIn(lines.slice(start).join("\n"))[0]];
}
