import { formatEndpoint, isUnspecified, parseAddress } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { displayName, type Name } from "../../shared/name.ts";

/** The media type browsers know a proxy auto-configuration file by. */
export const pacType = "application/x-ns-proxy-autoconfig";

/** Where browsers find the proxy. */
export interface PacProxy {
  listen: ListenAddress;
  /** It asks for a password, which no browser has for SOCKS5. */
  asksForUsers: boolean;
}

/**
 * A script that sends names of the zones through the proxy and leaves everything else alone. There is no way round for a zone's name: it
 * would be asked of whoever answers DNS for this machine. Written for the oldest engines that read such files (ECMAScript 3).
 */
export function pacScript(zones: readonly Name[], { listen, asksForUsers }: PacProxy): string {
  const at = formatEndpoint({ address: reachableHost(listen.host), port: listen.port });
  const way = asksForUsers ? `PROXY ${at}` : `SOCKS5 ${at}; PROXY ${at}`;
  return `var zones = ${scriptText(zones.map(bareName))};

function FindProxyForURL(url, host) {
  var name = host.toLowerCase().replace(/\\.$/, "");
  if (/^[0-9.]+$/.test(name) || name.indexOf(":") !== -1) return "DIRECT";
  for (var index = 0; index < zones.length; index++) {
    var end = "." + zones[index];
    if (zones[index] === "" || ("." + name).slice(-end.length) === end) return ${scriptText(way)};
  }
  return "DIRECT";
}
`;
}

/** A listener that means every address is found at this machine's own. */
function reachableHost(host: string): string {
  const address = parseAddress(host);
  if (address === undefined || !isUnspecified(address)) return host;
  return address === "::" ? "::1" : "127.0.0.1";
}

function bareName(zone: Name): string {
  return zone === "." ? "" : displayName(zone);
}

/** A literal of the script, also where that stands in a page, and in engines that end a line at U+2028. */
function scriptText(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
