import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const rooms = ["shared", "client", "resolver", "agent", "socks-proxy", "cli"] as const;
type Room = (typeof rooms)[number];

/** What a room's files may import, besides their own room. Everything not listed is forbidden. */
const allowed: Record<Room, { rooms: Room[]; packages: string[] }> = {
  shared: { rooms: [], packages: ["zod", "dns-packet"] },
  resolver: {
    rooms: ["shared"],
    packages: ["hono", "@hono/node-server", "@peculiar/x509", "reflect-metadata", "ws", "zod"],
  },
  agent: { rooms: ["shared"], packages: ["dockerode", "smol-toml", "ws", "zod"] },
  client: { rooms: ["shared"], packages: ["undici", "zod"] },
  "socks-proxy": { rooms: ["shared", "client"], packages: ["zod"] },
  cli: { rooms: ["shared", "client", "resolver", "agent", "socks-proxy"], packages: ["dockerode", "zod"] },
};

/** The only files that may import these: foreign types stop at one door. */
const doors: Record<string, string[]> = {
  "dns-packet": ["shared/dns/message.ts"],
  "node:buffer": ["shared/dns/message.ts"],
  dockerode: ["agent/engine/docker.ts", "cli/local-engine.ts", "cli/samples.ts"],
  "smol-toml": ["agent/services/service-file.ts"],
  ws: ["agent/lease/link.ts", "resolver/serve/link.ts", "resolver/serve/links.ts"],
  "cloudflare:workers": ["resolver/store/durable-object.ts"],
  "@peculiar/x509": ["resolver/serve/authority.ts"],
  "@hono/node-server": ["resolver/serve/listen.ts"],
};

/**
 * Files that touch sockets, disks, clocks, chance or the environment. All others are pure: they import no runtime module and take time,
 * randomness and settings as values. (The clients in shared/ reach the network only through the fetch they are given.)
 */
const edges: Record<Room, RegExp> = {
  shared: /^shared\/dns\/message\.ts$/,
  resolver:
    /^resolver\/(node\.ts|worker\.ts|worker\/object-feed\.ts|serve\/|store\/((sqlite[\w-]*|audit-file|durable-object|node-crypto)|etcd\/(members|transport|watch|open|follow|pulse))\.ts)/,
  agent:
    /^agent\/(addresses|agent-lock|clock|config|host-key|main|private-file|token-file|engine\/(docker|docker-engine|engine-calls|certificates|event-stream|fingerprint|ssh-connection)|lease\/link|status\/(status-server|bound-connections)|health\/probe|relay\/(descriptor-limit|relay-port-file|tcp-relay|udp-relay)|services\/(file-text|service-files))\.ts$/,
  client:
    /^client\/(client|create-stub-resolver|answers\/system-lookup|connect\/(connect-attempts|connector)|program\/(client-types|create-client|dispatcher|http-agent|name-lookup|service-socket)|resolvers\/(learnt-memory|resolver-lookup|state-file|token-file|transport))\.ts$/,
  "socks-proxy":
    /^socks-proxy\/(connect-command|context|drain|main|server|relay\/(channel(-duplex)?|connection-end|listener|relay)|socks\/(negotiate|reverse-lookup)|http\/http-(client|exchange|forward|proxy|tunnel|upstreams)|page\/page-server|udp\/udp-(association|destination)|policy\/users-file|transparent\/(allotment-file|dns-connection|dns-stub|forward|ipv6-range|keep-transparent|kept-addresses|open-files|port-holder|port-opener|tcp-clients|tcp-port|transparent|udp-port(-session)?|upstreams))\.ts$/,
  cli: /^cli\//,
};
const impure =
  /\b(process\.|Date\.now\(|new Date\(\)|performance\.now|Math\.random\(|setTimeout\(|setInterval\(|require\()/;

interface Source {
  path: string;
  room: Room;
  text: string;
  imports: string[];
}

const isTest = (path: string) => /\.test\.ts$|\.d\.ts$|\/testing\/|^resolver\/store\/contract/.test(path);
const sources = rooms.flatMap((room) => filesBelow(room).map((path) => readSource(room, path)));
/** House rules hold beside the rooms as well. */
const everywhere = [
  ...sources,
  ...["test", "bench", "packaging"].flatMap((folder) =>
    filesBelow(folder).map((path) => readSource("cli", path)),
  ),
];
const product = sources.filter(({ path }) => !isTest(path));

describe("import rules", () => {
  it("are checked against a tree that is there", () => {
    expect(product.length).toBeGreaterThan(60);
    for (const room of rooms) expect(product.some((source) => source.room === room)).toBe(true);
  });

  it("let rooms import only the rooms they may", () => {
    const faults = product.flatMap((source) =>
      roomsImported(source)
        .filter((room) => room !== source.room && !allowed[source.room].rooms.includes(room))
        .map((room) => `${source.path} imports ${room}/`),
    );
    expect(faults).toEqual([]);
  });

  it("let the command line import other rooms' start functions and options only", () => {
    const entries =
      /^(resolver\/(node|config)|agent\/(main|config|status\/(agent-status|status-option))|socks-proxy\/(main|config))\.ts$/;
    const faults = product
      .filter(({ room }) => room === "cli")
      .flatMap((source) => pathsImported(source).map((path) => ({ from: source.path, path })))
      .filter(({ path }) => !/^(cli|shared)\//.test(path) && !entries.test(path));
    expect(faults).toEqual([]);
  });

  it("let rooms import only the packages they may, through their doors", () => {
    const faults = product.flatMap((source) =>
      packagesImported(source).flatMap((name) => {
        const isOwn = allowed[source.room].packages.includes(name) || name.startsWith("node:");
        const door = doors[name];
        const isAllowed = door === undefined ? isOwn : door.includes(source.path);
        return isAllowed ? [] : [`${source.path} imports ${name}`];
      }),
    );
    expect(faults).toEqual([]);
  });

  it("keep runtime modules, clocks, chance and the environment out of pure files", () => {
    const pure = product.filter(({ room, path }) => !edges[room].test(path));
    const faults = pure.flatMap(({ path, text, imports }) => {
      const modules = imports.filter((name) => /^(node:|cloudflare:)/.test(name));
      const uses = impure.exec(withoutComments(text))?.[0];
      return [...modules, ...(uses === undefined ? [] : [uses])].map((what) => `${path} uses ${what}`);
    });
    expect(pure.length).toBeGreaterThan(50);
    expect(faults).toEqual([]);
  });

  it("let the rooms speak by their log alone, which lets nobody's words start a line or command a terminal", () => {
    const consoles = /^(cli\/|resolver\/(worker|store\/durable-object)\.ts$)/;
    const faults = product.filter(
      ({ path, text }) =>
        !consoles.test(path) && /\bconsole\.|\bprocess\.(stdout|stderr)\b/.test(withoutComments(text)),
    );
    expect(faults.map(({ path }) => path)).toEqual([]);
  });

  it("name every relative file with its ending", () => {
    const faults = sources.flatMap(({ path, imports }) =>
      imports
        .filter((name) => name.startsWith(".") && !name.endsWith(".ts"))
        .map((name) => `${path}: ${name}`),
    );
    expect(faults).toEqual([]);
  });
});

describe("house rules", () => {
  it("keep files within what one reading takes in", () => {
    const faults = product.filter(({ text }) => text.split("\n").length > 300).map(({ path }) => path);
    expect(faults).toEqual([]);
  });

  it("allow named exports only, the Worker's entry aside", () => {
    const faults = product.filter(
      ({ path, text }) => /^export default/m.test(text) && path !== "resolver/worker.ts",
    );
    expect(faults.map(({ path }) => path)).toEqual([]);
  });

  it("allow no silenced type error, no focused or skipped test", () => {
    const faults = everywhere.filter(({ path, text }) => {
      const isSilenced = /@ts-(ignore|expect-error|nocheck)/.test(text);
      const isSkipped = /\b(it|test|describe)\.(skip|only|todo)\b/.test(text);
      return path !== "test/architecture.test.ts" && (isSilenced || isSkipped);
    });
    expect(faults.map(({ path }) => path)).toEqual([]);
  });

  it("call no folder or file utils, helpers, common, lib or index", () => {
    const faults = sources.filter(({ path }) =>
      /(^|\/)(utils?|helpers?|common|lib|misc|index)(\/|\.ts$)/.test(path),
    );
    expect(faults.map(({ path }) => path)).toEqual([]);
  });

  it("read nothing beside the project", () => {
    const outside = everywhere.filter((source) =>
      pathsImported(source).some((path) => path.startsWith("..")),
    );
    expect(outside.map(({ path }) => path)).toEqual([]);
  });
});

function filesBelow(room: string): string[] {
  const entries = readdirSync(join(root, room), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".ts"));
  return files.map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function readSource(room: Room, path: string): Source {
  const text = readFileSync(join(root, path), "utf8");
  const froms =
    /^(?:import|export)\b[^;"'(=]*?\bfrom\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm;
  const imports = [...text.matchAll(froms)].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? "");
  return { path, room, text, imports };
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
}

function pathsImported({ path, imports }: Source): string[] {
  const relatives = imports.filter((name) => name.startsWith("."));
  return relatives.map((name) => relative(root, resolve(root, dirname(path), name)));
}

function roomsImported(source: Source): Room[] {
  const first = pathsImported(source).map((path) => path.split("/")[0]);
  return rooms.filter((room) => first.includes(room));
}

function packagesImported({ imports }: Source): string[] {
  const foreign = imports.filter((name) => !name.startsWith("."));
  return foreign.map((name) => {
    if (name.includes(":")) return name;
    return name
      .split("/")
      .slice(0, name.startsWith("@") ? 2 : 1)
      .join("/");
  });
}
