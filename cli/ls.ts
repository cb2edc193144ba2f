import { formatEndpoint } from "../shared/address.ts";
import { readConfig, switchSchema } from "../shared/config.ts";
import { displayName } from "../shared/name.ts";
import type { HostList, ServiceList } from "../shared/registry-views.ts";
import { listHosts, listServices } from "../shared/resolver-client.ts";
import { adminOptions, askResolver, printLines } from "./admin.ts";
import type { Command } from "./command.ts";
import { parseFlags } from "./flags.ts";
import { statePaths } from "./state.ts";

const options = {
  ...adminOptions,
  tokenFile: {
    ...adminOptions.tokenFile,
    help: "a file with a token of any kind (this machine's own resolver's reader.token)",
  },
  problems: { schema: switchSchema, help: "list what hinders containers from being reached, host by host" },
};

/** `berth ls`: the names there are, or with --problems what is wrong; exit code 1 when something is. */
export const lsCommand: Command = {
  summary: "list the names, their ports and endpoints",
  options,
  async run(argv) {
    const { readerTokenFile } = statePaths();
    const config = readConfig(options, parseFlags(options, argv), process.env, {
      tokenFile: readerTokenFile,
    });
    if (!config.problems)
      return printLines(serviceLines(await askResolver(config, listServices, readerTokenFile)));
    const lines = problemLines(await askResolver(config, listHosts, readerTokenFile));
    await printLines(lines.length === 0 ? ["no problems"] : lines);
    return lines.length === 0 ? 0 : 1;
  },
};

/** Names, labels and ports were checked by the schema; what a label may say freely is made printable, so nothing here can forge a line. */
export function serviceLines({ services, zone }: ServiceList): string[] {
  if (services.length === 0) return [`no names in ${displayName(zone)} yet`];
  return services.flatMap(({ name, ports }) =>
    ports.map(({ protocol, servicePort, endpoints }) => {
      const places = endpoints.map(placeText).join("; ");
      return printable(`${displayName(name)}  ${protocol}/${servicePort}  ${places}`);
    }),
  );
}

type SeenEndpoint = ServiceList["services"][number]["ports"][number]["endpoints"][number];

/** `10.0.0.5:32768 on nas (tls, healthy, version=2)`; one that is not answered says why: `(hidden: starting)`. */
function placeText({ hostLabel, addresses, port, health, tls, txt = [], hidden }: SeenEndpoint): string {
  const where = addresses.map((address) => formatEndpoint({ address, port })).join(",");
  const state = hidden === undefined ? health : `hidden: ${hidden}`;
  const facts = [...(tls ? ["tls"] : []), ...(state === "none" ? [] : [state]), ...txt.map(txtText)];
  return `${where} on ${hostLabel}${facts.length === 0 ? "" : ` (${facts.join(", ")})`}`;
}

/** In quotes where it could be taken for more than one thing. */
function txtText(text: string): string {
  return /^[\w./:=@%+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** One line per problem and per refused name. */
export function problemLines({ hosts }: HostList): string[] {
  const lines = hosts.flatMap(({ hostLabel, problems, refused }) => [
    ...problems.map(({ container, code, message }) => `${hostLabel}  ${container}  ${code}: ${message}`),
    ...refused.map(({ name, code, message }) => `${hostLabel}  ${displayName(name)}  ${code}: ${message}`),
  ]);
  return lines.map(printable);
}

/** A problem quotes what a label said; a terminal must not obey it. */
function printable(text: string): string {
  // Control characters, line and paragraph separators, and what reorders or hides text around it.
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}
