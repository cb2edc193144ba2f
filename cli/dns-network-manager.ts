import { displayName } from "../shared/name.ts";
import type { DnsChange } from "./dns-change.ts";
import { deleteOwn, writeOwn } from "./dns-resolved.ts";
import { type DnsSetting, type NameService, ownMark } from "./dns-setting.ts";

const path = "/etc/NetworkManager/dnsmasq.d/berth-dns.conf";

/** The dnsmasq that NetworkManager runs (dns=dnsmasq) sends a domain's names to a server of its own when told so in a file. */
export const networkManager: NameService = {
  name: "networkmanager",
  title: "NetworkManager with its dnsmasq",
  files: [path],

  install(setting, machine) {
    const files = writeOwn(machine, path, dnsmasqText(setting));
    return files.length === 0 ? [] : [...files, restartDnsmasq];
  },

  applyAgain: () => [restartDnsmasq],

  remove(machine) {
    const files = deleteOwn(machine, path);
    return files.length === 0 ? [] : [...files, restartDnsmasq];
  },

  installed(machine) {
    const text = machine.read(path);
    if (text === undefined) return undefined;
    const servers = [...text.matchAll(/^server=\/([^/]+)\/([^#\n]+)(?:#(\d+))?$/gm)];
    const [, , host = "", port = "53"] = servers[0] ?? [];
    return { zones: servers.map(([, zone = ""]) => zone), server: { host, port: Number(port) } };
  },
};

/** It reads the file again, within a moment, and no network goes down. */
const restartDnsmasq: DnsChange = {
  kind: "run",
  argv: ["nmcli", "general", "reload", "dns-full"],
  mayFail: "NetworkManager need not run, and reads the file when it starts",
};

/** Where dnsmasq is told to drop private answers (stop-dns-rebind), loopback ones are meant here. */
function dnsmasqText({ zones, server }: DnsSetting): string {
  const where = server.port === 53 ? server.host : `${server.host}#${server.port}`;
  const lines = zones.flatMap((zone) => {
    const domain = displayName(zone);
    return [`server=/${domain}/${where}`, `rebind-domain-ok=/${domain}/`];
  });
  return `${[ownMark, ...lines].join("\n")}\n`;
}
