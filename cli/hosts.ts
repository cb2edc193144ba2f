import { listHosts, withdrawHostAsAdmin } from "../shared/admin-client.ts";
import { hostIdSchema } from "../shared/binding.ts";
import { BerthError } from "../shared/errors.ts";
import type { HostList } from "../shared/registry-views.ts";
import {
  adminOptions,
  askResolver,
  jsonOption,
  note,
  printJson,
  printLines,
  readAdminConfig,
} from "./admin.ts";
import type { Command, CommandGroup } from "./command.ts";
import { parseArguments, parseFlags } from "./flags.ts";
import { tableLines } from "./table.ts";

const listOptions = { ...jsonOption, ...adminOptions };
const listCommand: Command = {
  summary: "list the hosts whose lease runs",
  options: listOptions,
  async run(argv) {
    const config = readAdminConfig(listOptions, parseFlags(listOptions, argv));
    const list = await askResolver(config, listHosts);
    return config.json ? printJson(list) : printLines(hostLines(list));
  },
};

const withdrawCommand: Command = {
  summary:
    "take a host's names out at once; an agent that still runs there puts them back, unless its token is revoked",
  operands: "HOST",
  options: adminOptions,
  async run(argv) {
    const wanted = { least: 1, most: 1, what: "one host, by its label or host id" };
    const { flags, operands } = parseArguments(adminOptions, argv, wanted);
    const config = readAdminConfig(adminOptions, flags);
    const host = operands[0] ?? "";
    const isDone = await askResolver(config, async (access) =>
      withdrawHostAsAdmin(access, hostIdFor(host, await listHosts(access))),
    );
    note(isDone ? `${host} is withdrawn` : `the resolver holds nothing of ${host}`);
    return isDone ? 0 : 1;
  },
};

export const hostsCommands: CommandGroup = {
  summary: "list the hosts, and take one out",
  commands: { list: listCommand, withdraw: withdrawCommand },
  standard: "list",
};

/** The host a person means by `text`, a granted label or a host id. Throws a BerthError `unknown-host`. */
export function hostIdFor(text: string, { hosts }: HostList): string {
  if (hostIdSchema.safeParse(text).success) return text;
  const host = hosts.find(({ hostLabel }) => hostLabel === text);
  if (host !== undefined) return host.hostId;
  throw new BerthError(
    "unknown-host",
    `there is no host "${text}" with a running lease; berth hosts lists them`,
  );
}

export function hostLines({ hosts }: HostList): string[] {
  if (hosts.length === 0) return ["no hosts"];
  const rows = hosts.map(({ hostLabel, owner, tokenId, bindings, lease, leaseRemaining, hostId }) => [
    hostLabel,
    owner,
    tokenId,
    String(bindings),
    `${Math.ceil(leaseRemaining)} of ${lease} s`,
    hostId,
  ]);
  return tableLines(["HOST", "OWNER", "TOKEN", "BINDINGS", "LEASE", "HOST ID"], rows);
}
