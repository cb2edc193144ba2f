import { formatEndpoint } from "../shared/address.ts";
import { displayName } from "../shared/name.ts";
import type { AllParts } from "./all-parts.ts";

/** What to type, for the names there are. */
export function howToUse(parts: AllParts, names: string[]): string {
  const { zone, resolver, proxy, caFile } = parts;
  const socks = formatEndpoint({ address: proxy.host, port: proxy.port });
  const name = names[0] ?? displayName(zone);
  const at = `@${resolver.host} -p ${resolver.port}`;
  const trust = `+tls-ca=${caFile} +tls-hostname=localhost`;
  const [kdig, dig] = httpsFlags(parts);
  const health = `https://${formatEndpoint({ address: resolver.host, port: resolver.port })}/healthz`;
  return `
Shell     curl --socks5-hostname ${socks} http://${name}/
Browser   ${browserSettings(parts, socks)}
            then open ${names.map((each) => `http://${each}/`).join(" ")}
DNS       kdig ${at} ${kdig} ${trust} _80._tcp.${name} SRV
          dig ${at} ${dig} ${trust} ${name} A
          (Debian: knot-dnsutils, bind9-dnsutils)
Health    curl --cacert ${caFile} ${health}
`;
}

/** The proxy's page knows which names are for the proxy; without it, all of them go there. */
function browserSettings({ proxy, page }: AllParts, socks: string): string {
  if (page === undefined) {
    return `SOCKS5 proxy ${socks}, with names resolved by the proxy
            chromium --proxy-server=socks5://${socks}
            Firefox: Settings, Network Settings, Manual proxy: SOCKS v5 host ${proxy.host}, port ${proxy.port}`;
  }
  const url = `http://${formatEndpoint({ address: page.host, port: page.port })}/proxy.pac`;
  return `automatic proxy configuration ${url}
            chromium --proxy-pac-url=${url}
            Firefox: Settings, Network Settings, Automatic proxy configuration URL`;
}

/** Where lookups need a token, the shell puts it in: it is for no terminal to keep. */
function httpsFlags({ needsToken, readerTokenFile }: AllParts): [kdig: string, dig: string] {
  if (!needsToken) return ["+https", "+https"];
  const path = `/t/$(cat ${readerTokenFile})/dns-query`;
  return [`+https=localhost${path}`, `+https=${path}`];
}
