import { join } from "node:path";
import { node, Part } from "./parts.ts";
import { type ResolverPart, resolverAt } from "./resolver-part.ts";
import type { World } from "./world.ts";

/** What tap-main.ts is told. */
export type TapSettings = { dir: string; address: string; port: number; upstream: string; caFile: string };

/** A reverse proxy before the resolver, which ends TLS and sees what goes through. */
export type Tap = {
  /** The resolver as its agents find it behind the tap. */
  resolver: ResolverPart;
  /** How many requests of this method, whose path ends so, were answered so far. */
  count(method: string, end: string): number;
  /** How many links were opened through it. */
  links(): number;
  /** Cuts every link in the middle, and lets no other through until `mend`. */
  cut(): void;
  mend(): void;
};

export async function startTap({ client, resolver, dir }: World): Promise<Tap> {
  const at = resolverAt({ dir, client, port: 8443 });
  const own = join(dir, "tap");
  const { address, port } = at;
  const settings: TapSettings = { dir: own, address, port, upstream: resolver.url, caFile: resolver.caFile };
  const argv = [node, join(import.meta.dirname, "tap-main.ts"), JSON.stringify(settings)];
  const part = await Part.start({ name: "tap", argv, netns: client.netns, ready: /taps/ });
  const linesLike = (pattern: RegExp) => part.process.lines.filter((line) => pattern.test(line)).length;
  return {
    resolver: { ...resolver, ...at, caFile: join(own, "tls", "ca.pem") },
    count: (method, end) => linesLike(new RegExp(`^${method} .*${end} \\d+$`)),
    links: () => linesLike(/^link .* 101$/),
    cut: () => part.process.signal("SIGUSR2"),
    mend: () => part.process.signal("SIGHUP"),
  };
}
