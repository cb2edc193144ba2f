import { join } from "node:path";

import { type Address, parseAddress } from "../../shared/address.ts";
import type { Log } from "../../shared/log.ts";
import type { Name } from "../../shared/name.ts";
import type { ProxyConfig } from "../config.ts";
import { Allotment, type Allotted } from "./allotment.ts";
import { readAllotment, writeAllotment } from "./allotment-file.ts";
import { AllotmentKeeper } from "./allotment-keeper.ts";
import type { Ipv6Range } from "./ipv6-range.ts";
import { type AddressRange, addressAt, hostPartOf, ipv6At } from "./range.ts";
import type { NameAddresses } from "./served-names.ts";

/** Names and their addresses, as they are kept between runs. */
export interface KeptAddresses extends NameAddresses {
  /** Whether an address is one for names, whoever has it; and who has it. */
  isOurs(address: Address): boolean;
  nameAt(address: Address): Name | undefined;
  /** Why they cannot be stored. */
  fault(): string | undefined;
  /** Stores when each was last used. */
  store(): Promise<void>;
}

/** Reads what an earlier run has allotted. Throws a BerthError `bad-state-dir`. */
export async function openKeptAddresses(
  { stateDir, dnsListen }: Pick<ProxyConfig, "stateDir" | "dnsListen">,
  range: AddressRange,
  ipv6: Ipv6Range,
  log: Log,
): Promise<KeptAddresses> {
  const now = Date.now;
  const file = stateDir === undefined ? undefined : join(stateDir, "allotment.json");
  const kept = file === undefined ? [] : await readAllotment(file, range, log);
  const own = hostPartOf(parseAddress(dnsListen.host) ?? addressAt(range, 0), range);
  const allotment = new Allotment(range.size, own === undefined ? [] : [own], kept, now());
  const write =
    file === undefined ? undefined : (all: readonly Allotted[]) => writeAllotment(file, range, all);
  const keeper = new AllotmentKeeper({ allotment, write, now, log });
  return {
    async allot(name) {
      const host = await keeper.hostOf(name);
      if (host === undefined) return undefined;
      const { prefix, isUsable } = ipv6;
      const second = prefix !== undefined && isUsable ? ipv6At(prefix, host) : undefined;
      return { ipv4: addressAt(range, host), ipv6: second };
    },
    touch: (name) => keeper.touch(name),
    isHeld: (name) => keeper.isHeld(name),
    isOurs: (address) => hostPartOf(address, range, ipv6.prefix) !== undefined,
    nameAt(address) {
      const host = hostPartOf(address, range, ipv6.prefix);
      return host === undefined ? undefined : keeper.nameAt(host);
    },
    fault: () => keeper.fault,
    store: () => keeper.store(),
  };
}
