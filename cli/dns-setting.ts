import type { ListenAddress } from "../shared/config.ts";
import type { Name } from "../shared/name.ts";
import type { DnsChange } from "./dns-change.ts";
import type { NameMachine } from "./dns-machine.ts";

/** What is wanted of this machine's name resolution: names of these zones are asked of this server. */
export interface DnsSetting {
  zones: readonly Name[];
  server: ListenAddress;
}

export const serviceNames = ["resolved", "networkmanager", "resolv.conf"] as const;
export type ServiceName = (typeof serviceNames)[number];

/** One way a machine resolves names, and how it is told of ours. What it plans depends on the machine alone, and changes nothing. */
export interface NameService {
  name: ServiceName;
  /** For people. */
  title: string;
  /** The files it may write. */
  files: readonly string[];
  /** What remains to be done, nothing when all is as it should be. Throws a BerthError when it cannot be done here. */
  install(setting: DnsSetting, machine: NameMachine): DnsChange[];
  /** What has our files take effect once more, where they are as they should be and others have undone what came of them. */
  applyAgain(): DnsChange[];
  /** What takes back whatever there is of ours, whole or half done; nothing when there is nothing. */
  remove(machine: NameMachine): DnsChange[];
  /** What our files say is set; `zones` is undefined where every name is asked of us. Undefined when nothing of ours is there. */
  installed(machine: NameMachine): { zones: string[] | undefined; server: ListenAddress } | undefined;
}

/** The first line of every file that is ours alone. */
export const ownMark = "# Written by `berth dns install`; `berth dns remove` deletes it.";
