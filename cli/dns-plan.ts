import type { Name } from "../shared/name.ts";
import type { DnsChange } from "./dns-change.ts";
import { nameServices } from "./dns-detect.ts";
import type { NameMachine } from "./dns-machine.ts";
import type { DnsSetting, NameService } from "./dns-setting.ts";

/**
 * What an installation has to do: take back what is set elsewhere, set what is not set, and where nothing of that is missing and a zone's
 * names do not arrive all the same, which `arrives` tells, have it take effect once more.
 */
export async function planInstallation(
  service: NameService,
  setting: DnsSetting,
  machine: NameMachine,
  arrives: (zone: Name) => Promise<boolean>,
): Promise<DnsChange[]> {
  const others = nameServices.filter((each) => each !== service).flatMap((each) => each.remove(machine));
  const changes = [...others, ...service.install(setting, machine)];
  if (changes.length > 0) return changes;
  const arrived = await Promise.all(setting.zones.map(arrives));
  return arrived.every(Boolean) ? [] : service.applyAgain();
}
