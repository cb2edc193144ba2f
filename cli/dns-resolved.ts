import { formatEndpoint } from "../shared/address.ts";
import { BerthError } from "../shared/errors.ts";
import { displayName } from "../shared/name.ts";
import type { DnsChange } from "./dns-change.ts";
import type { NameMachine } from "./dns-machine.ts";
import { type DnsSetting, type NameService, ownMark } from "./dns-setting.ts";

const unit = "berth-dns.service";
const unitPath = `/etc/systemd/system/${unit}`;
const unmanagedPath = "/etc/NetworkManager/conf.d/berth-dns.conf";
const wantsPath = `/etc/systemd/system/systemd-resolved.service.wants/${unit}`;
/** Its two ends, where the kernel has no dummy links. */
const [link, peer] = ["berth0", "berth0-peer"];
/** systemd-resolved counts a link only with an address of global scope; this one leads nowhere and nobody is sent to it. */
const linkAddress = "169.254.64.1/32";

/**
 * systemd-resolved sends names of a route-only domain to the servers of its link alone, so our server gets a link of its own. As a global
 * server it would be asked for every other name as well.
 */
export const resolved: NameService = {
  name: "resolved",
  title: "systemd-resolved",
  files: [unitPath, unmanagedPath],

  install(setting, machine) {
    const files = [
      // Before there is a link that NetworkManager could take for its own.
      ...(machine.exists("/etc/NetworkManager") ? writeOwn(machine, unmanagedPath, unmanagedText) : []),
    ];
    const reload: DnsChange[] = files.length === 0 ? [] : [reloadNetworkManager];
    const units = writeOwn(machine, unitPath, unitText(setting));
    if (files.length + units.length === 0 && isUp(machine) && isEnabled(machine)) return [];
    return [...files, ...reload, ...units, ...startUnit];
  },

  // The link's servers and domains can be taken from it (resolvectl revert) while it stays.
  applyAgain: () => startUnit,

  remove(machine) {
    const files = [unitPath, unmanagedPath].flatMap((path) => deleteOwn(machine, path));
    if (files.length === 0 && !isEnabled(machine) && !isUp(machine)) return [];
    return [
      {
        kind: "run",
        argv: ["systemctl", "disable", "--now", unit],
        mayFail: "it may never have been enabled",
      },
      // Started by hand, or left by a unit that was half written.
      { kind: "run", argv: ["ip", "link", "delete", link], mayFail: "the unit has deleted it" },
      ...files,
      { kind: "run", argv: ["systemctl", "daemon-reload"], mayFail: "systemd need not run" },
      ...(machine.exists(unmanagedPath) ? [reloadNetworkManager] : []),
      flushCaches,
    ];
  },

  installed(machine) {
    const text = machine.read(unitPath);
    if (text === undefined) return undefined;
    const [, host = "", port = "53"] = /resolvectl dns \S+ \[?([^\s\];]+?)\]?(?::(\d+))?;/.exec(text) ?? [];
    const [, domains = ""] = /^ExecStart=resolvectl domain \S+ (.*)$/m.exec(text) ?? [];
    const zones = domains.split(" ").map((domain) => domain.slice(1));
    return { zones, server: { host, port: Number(port) } };
  },
};

const untilActive = `for try in $(seq 40); do systemctl is-active --quiet ${unit} && exit; sleep 0.5; done; exit 1`;

/** What is cached of a zone's names from before is of another server. */
const flushCaches: DnsChange = {
  kind: "run",
  argv: ["resolvectl", "flush-caches"],
  mayFail: "what is cached is gone after some seconds anyway",
};
const startUnit: DnsChange[] = [
  { kind: "run", argv: ["systemctl", "daemon-reload"] },
  { kind: "run", argv: ["systemctl", "enable", unit] },
  { kind: "run", argv: ["systemctl", "restart", unit], mayFail: "systemd tries again each second" },
  { kind: "run", argv: ["sh", "-c", untilActive] },
  flushCaches,
];
const reloadNetworkManager: DnsChange = {
  kind: "run",
  argv: ["nmcli", "general", "reload", "conf"],
  mayFail: "NetworkManager need not run, and reads its files when it starts",
};

/** Otherwise it takes the link for a network card, and empties what systemd-resolved was told of it. */
const unmanagedText = `${ownMark}
[keyfile]
unmanaged-devices+=interface-name:${link};interface-name:${peer}
`;

/**
 * A dummy link, or a cable from this machine to itself. Its own settings come back with systemd-resolved, which forgets them when it is
 * stopped for good. DNSSEC and DNS over TLS are for networks: this server is on the machine.
 */
function unitText({ zones, server }: DnsSetting): string {
  const where =
    server.port === 53 ? server.host : formatEndpoint({ address: server.host, port: server.port });
  const domains = zones.map((zone) => `~${displayName(zone)}`).join(" ");
  return `${ownMark}
[Unit]
Description=Names of berth's zones are asked of its own DNS listener
After=systemd-resolved.service
PartOf=systemd-resolved.service
Before=nss-lookup.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStartPre=-ip link delete ${link}
ExecStart=sh -c "ip link add ${link} type dummy || ip link add ${link} type veth peer name ${peer}"
ExecStart=-ip link set ${peer} up
ExecStart=ip link set ${link} up
# systemd-resolved hears of the new link by itself, and knows of none by that name before.
ExecStart=sh -c "for try in $$(seq 30); do resolvectl status ${link} >/dev/null && exit; sleep 0.3; done; exit 1"
ExecStart=resolvectl domain ${link} ${domains}
ExecStart=resolvectl default-route ${link} no
ExecStart=resolvectl llmnr ${link} no
ExecStart=resolvectl mdns ${link} no
ExecStart=resolvectl dnssec ${link} no
ExecStart=resolvectl dnsovertls ${link} no
# Last, so that no other name is ever asked there. It has to count: systemd-resolved believes systemd-networkd, where that runs, that a link
# has no address, and one that starts on a busy machine may never hear of this one. Then it fails, and another link has better luck.
ExecStart=sh -c "for try in $$(seq 6); do ip address replace ${linkAddress} dev ${link}; resolvectl dns ${link} ${where}; resolvectl status ${link} | grep -q 'Scopes:.*DNS' && exit; sleep 0.3; done; exit 1"
ExecStopPost=-ip link delete ${link}
Restart=on-failure
RestartSec=1

[Install]
WantedBy=systemd-resolved.service
`;
}

/** Else it is gone after the next start of the machine. */
function isEnabled(machine: NameMachine): boolean {
  return machine.linkTarget(wantsPath) !== undefined;
}

/** /sys/class/net shows another network in some containers, where it was mounted before the container had its own. */
function isUp(machine: NameMachine): boolean {
  const links = machine.read("/proc/net/dev") ?? "";
  return links.split("\n").some((line) => line.trim().startsWith(`${link}:`));
}

export function writeOwn(machine: NameMachine, path: string, text: string): DnsChange[] {
  const was = machine.read(path);
  if (was === text) return [];
  if (was !== undefined && !was.startsWith(ownMark)) {
    const message = `${path} is there and is not from berth dns install; move it away`;
    throw new BerthError("cannot-set-dns", message, { who: path });
  }
  return [{ kind: "write", path, was, text }];
}

/** A file by that name that is not from us is somebody's own. */
export function deleteOwn(machine: NameMachine, path: string): DnsChange[] {
  const was = machine.read(path);
  return was?.startsWith(ownMark) ? [{ kind: "delete", path, was }] : [];
}
