import { type DnsReply, parseDnsReply } from "./dns-reply.ts";
import { runCommand } from "./process.ts";

export type DnsQuery = {
  /** Address of the DoH server. */
  server: string;
  port: number;
  name: string;
  type: string;
  /** PEM file with the CA that the server's certificate must come from. */
  caFile: string;
  /** The name the certificate must be for. */
  tlsHostname: string;
  /** GET in place of POST. */
  get?: boolean | undefined;
  path?: string | undefined;
  netns?: string | undefined;
};

/** Asks with Knot's kdig over HTTPS. */
export async function kdigHttps(query: DnsQuery): Promise<DnsReply> {
  const { server, port, name, type, caFile, tlsHostname, path = "/dns-query" } = query;
  const argv = ["kdig", `@${server}`, "-p", `${port}`, `+https=${tlsHostname}${path}`, `+tls-ca=${caFile}`];
  argv.push(`+tls-hostname=${tlsHostname}`, "+timeout=5", "+retry=0", ...(query.get ? ["+https-get"] : []));
  return askWith([...argv, name, type], query.netns);
}

/** Asks with BIND's dig over HTTPS. */
export async function digHttps(query: DnsQuery): Promise<DnsReply> {
  const { server, port, name, type, caFile, tlsHostname, path = "/dns-query" } = query;
  const argv = ["dig", `@${server}`, "-p", `${port}`, `${query.get ? "+https-get" : "+https-post"}=${path}`];
  argv.push(`+tls-ca=${caFile}`, `+tls-hostname=${tlsHostname}`, "+timeout=5", "+tries=1");
  return askWith([...argv, name, type], query.netns);
}

async function askWith(argv: string[], netns: string | undefined): Promise<DnsReply> {
  const { code, stdout, stderr } = await runCommand(argv, { netns, timeoutMs: 20_000 });
  return parseDnsReply(code, stdout + stderr);
}

/** `code` is curl's exit status (97: the SOCKS proxy refused, 28: time-out); without an HTTP response no status. */
export type CurlResult = { code: number; status?: number; body: string; stderr: string };

export type CurlOptions = {
  url: string;
  netns?: string | undefined;
  maxTimeSeconds?: number | undefined;
  extraArgs?: string[] | undefined;
};

/** Fetches without a proxy; names through the machine's own resolver. */
export async function curlDirect(options: CurlOptions): Promise<CurlResult> {
  return curl(["--noproxy", "*"], options);
}

/** Fetches with curl's own DoH client: names and nothing else, the port stays the URL's. */
export async function curlDoh(
  options: CurlOptions & { dohUrl: string; caFile: string },
): Promise<CurlResult> {
  return curl(["--noproxy", "*", "--doh-url", options.dohUrl, "--cacert", options.caFile], options);
}

/** Fetches through a SOCKS5 proxy ("127.0.0.1:1080"), which gets the name unresolved. */
export async function curlSocks(options: CurlOptions & { proxy: string }): Promise<CurlResult> {
  return curl(["--noproxy", "", "--proxy", `socks5h://${options.proxy}`], options);
}

async function curl(args: string[], options: CurlOptions): Promise<CurlResult> {
  const { url, netns, maxTimeSeconds = 10, extraArgs = [] } = options;
  // -q: a developer's ~/.curlrc stays out of it.
  const argv = ["curl", "-q", "--silent", "--show-error", "--max-time", `${maxTimeSeconds}`];
  argv.push("--write-out", "\n%{http_code}", ...args, ...extraArgs, "--url", url);
  const { code, stdout, stderr } = await runCommand(argv, { netns, timeoutMs: maxTimeSeconds * 1000 + 5000 });
  const end = stdout.lastIndexOf("\n");
  const status = Number(stdout.slice(end + 1));
  const result = { code, body: stdout.slice(0, Math.max(end, 0)), stderr: stderr.trim() };
  return status > 0 ? { ...result, status } : result;
}
