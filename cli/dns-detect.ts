import { BerthError } from "../shared/errors.ts";
import { nameserversIn, writerOf } from "../shared/resolv-conf.ts";
import type { NameMachine } from "./dns-machine.ts";
import { networkManager } from "./dns-network-manager.ts";
import { plainFile, resolvConf } from "./dns-resolv-conf.ts";
import { resolved } from "./dns-resolved.ts";
import type { NameService, ServiceName } from "./dns-setting.ts";

export const nameServices: readonly NameService[] = [resolved, networkManager, plainFile];

/** The one of that name, as `--manager` says it. */
export function nameServiceBy(name: ServiceName): NameService {
  return nameServices.find((service) => service.name === name) ?? plainFile;
}

/**
 * Who answers the programs of this machine: what /etc/resolv.conf leads them to. Throws a BerthError `cannot-set-dns` that says what to do
 * where that is nobody who can send names apart.
 */
export async function detectNameService(machine: NameMachine): Promise<NameService> {
  const text = machine.read(resolvConf);
  const target = machine.linkTarget(resolvConf);
  const end = machine.realPath(resolvConf);
  if (text !== undefined && nameserversIn(text).some((address) => /^127\.0\.0\.5[34]$/.test(address)))
    return resolved;
  if (end === "/run/systemd/resolve/resolv.conf" || isSplit(machine)) throw passedBy;
  if (target?.includes("systemd/resolve") && text === undefined) throw resolvedStopped;
  const mode = await modeOfNetworkManager(machine, text);
  if (mode !== undefined) return byNetworkManager(mode);
  if (target !== undefined) throw linkOf(writerOf(text ?? ""), target);
  const writer = writerOf(text ?? "");
  if (writer !== undefined) throw writtenBy(writer);
  return plainFile;
}

/** getaddrinfo(3) asks systemd-resolved, which takes its servers from the file that all others read: one of the two would not find us. */
function isSplit(machine: NameMachine): boolean {
  const hosts = /^hosts:(.*)$/m.exec(machine.read("/etc/nsswitch.conf") ?? "")?.[1] ?? "";
  return /\bresolve\b/.test(hosts) && machine.exists("/run/systemd/resolve/io.systemd.Resolve");
}

function byNetworkManager(mode: string): NameService {
  if (mode === "systemd-resolved") return resolved;
  if (mode === "dnsmasq") return networkManager;
  throw fault(
    `NetworkManager writes ${resolvConf} anew whenever the network changes, and can send no zone elsewhere as it is set (dns=${mode}). Have it run dnsmasq: install dnsmasq-base, write "[main]" and "dns=dnsmasq" to /etc/NetworkManager/conf.d/dns.conf, then systemctl reload NetworkManager; or install systemd-resolved, which it uses by itself. Then try again`,
  );
}

/**
 * What NetworkManager does about DNS, when it is what programs are led by: the file says so, or leads to this machine itself, which then
 * is its dnsmasq.
 */
async function modeOfNetworkManager(
  machine: NameMachine,
  text: string | undefined,
): Promise<string | undefined> {
  const servers = nameserversIn(text ?? "");
  const isWriter = writerOf(text ?? "") === "NetworkManager";
  const isLocal = servers.every((address) => address === "127.0.0.1" || address === "::1");
  if (!isWriter && !isLocal) return undefined;
  const manager = "org.freedesktop.NetworkManager";
  const path = "/org/freedesktop/NetworkManager/DnsManager";
  const { code, output } = await machine.run([
    ...["busctl", "--system", "--auto-start=no", "get-property"],
    ...[manager, path, `${manager}.DnsManager`, "Mode"],
  ]);
  const mode = code === 0 ? /^s "([\w-]+)"$/.exec(output)?.[1] : undefined;
  if (isWriter) return mode ?? "default";
  return mode === "dnsmasq" ? mode : undefined;
}

const passedBy = fault(
  `${resolvConf} leads programs past systemd-resolved to the servers behind it, which know nothing of the zones: ln -sf ../run/systemd/resolve/stub-resolv.conf ${resolvConf}, then try again`,
);
const resolvedStopped = fault(
  `${resolvConf} leads to systemd-resolved, which does not run: systemctl enable --now systemd-resolved, then try again`,
);

function linkOf(writer: string | undefined, target: string): BerthError {
  return fault(
    `${resolvConf} is a link to ${target}, which ${writer ?? "another program"} writes; have that program use 127.64.0.1 first, or install systemd-resolved, and try again`,
  );
}

function writtenBy(writer: string): BerthError {
  return fault(
    `${writer} writes ${resolvConf} and would undo what is written there; have ${writer} use 127.64.0.1 first, or leave the file alone, or install systemd-resolved. --manager resolv.conf writes to it all the same, for as long as it lasts`,
  );
}

function fault(message: string): BerthError {
  return new BerthError("cannot-set-dns", message, { who: resolvConf });
}
