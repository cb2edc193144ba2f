import { formatEndpoint } from "../shared/address.ts";
import { displayName } from "../shared/name.ts";
import type { AllParts } from "./all-parts.ts";

/** What to type, for the names there are. */
export function howToUse({ zone, resolver, proxy, caFile }: AllParts, names: string[]): string {
  const socks = formatEndpoint({ address: proxy.host, port: proxy.port });
  const name = names[0] ?? displayName(zone);
  const server = `@${resolver.host} -p ${resolver.port} +https +tls-ca=${caFile} +tls-hostname=localhost`;
  const health = `https://${formatEndpoint({ address: resolver.host, port: resolver.port })}/healthz`;
  return `
Shell     curl --socks5-hostname ${socks} http://${name}/
Browser   SOCKS5 proxy ${socks}, with names resolved by the proxy; then open ${names.map((each) => `http://${each}/`).join(" ")}
            chromium --proxy-server=socks5://${socks}
            Firefox: Settings, Network Settings, Manual proxy: SOCKS v5 host ${proxy.host}, port ${proxy.port}
DNS       kdig ${server} _80._tcp.${name} SRV
          dig ${server} ${name} A
          (Debian: knot-dnsutils, bind9-dnsutils)
Health    curl --cacert ${caFile} ${health}
`;
}
