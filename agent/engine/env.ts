/**
 * The variables by which people name services for registrator, nginx-proxy, dnsdock and dns-proxy-server. Nothing else of a container's
 * environment is kept, not even for a moment: passwords stand there.
 */
const serving =
  /^(?:SERVICE_(?:\d+_)?(?:NAME|ID|TAGS|IGNORE|CHECK_[A-Z0-9_]+)|VIRTUAL_(?:HOST|PORT|PROTO|HOST_MULTIPORTS)|DNSDOCK_[A-Z0-9_]+|HOSTNAMES)$/;

/** From an engine's list of KEY=VALUE. Of one key given twice the last counts, as in the container. */
export function servingVariables(env: readonly string[]): Record<string, string> {
  const found: [string, string][] = [];
  for (const entry of env) {
    const cut = entry.indexOf("=");
    const key = entry.slice(0, cut);
    if (cut > 0 && serving.test(key)) found.push([key, entry.slice(cut + 1)]);
  }
  return Object.fromEntries(found);
}
