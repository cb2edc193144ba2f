import { connect, type Socket } from "node:net";
import type { StormReport, StormSettings } from "./storm.ts";

// Opens so many new connections a second through a SOCKS5 proxy, each for one page, until SIGTERM, and then prints what became of them. A
// process of its own in the client's network, so that nothing the test does delays it.

const settings = JSON.parse(process.argv[2] ?? "{}") as StormSettings;
const report: StormReport = { connections: 0, pages: 0, cut: [], failed: [], waits: [], controls: [] };
const startedAt = now();
/** Longest of each are kept, with when they began. */
const kept = 1_000;
let open = 0;
let isEnding = false;
let controls = 0;

const ticking = setInterval(() => {
  const due = ((now() - startedAt) / 1000) * settings.perSecond;
  while (report.connections < due) void fetchOnce();
  while (controls < due / 4) void controlOnce();
}, 1);
const telling = setInterval(() => console.log(`pages ${report.pages}`), 100);

process.once("SIGTERM", () => {
  isEnding = true;
  clearInterval(ticking);
  endIfIdle();
});

function endIfIdle(): void {
  if (!isEnding || open > 0) return;
  clearInterval(telling);
  console.log(JSON.stringify(report));
}

async function fetchOnce(): Promise<void> {
  report.connections++;
  open++;
  const at = now();
  const socket = connect(settings.proxyPort, "127.0.0.1");
  socket.setNoDelay(true).setTimeout(30_000, () => socket.destroy(new Error("nothing for 30 s")));
  try {
    const refusal = await reach(socket, [3, settings.name.length, ...Buffer.from(settings.name)], 80);
    keepLongest(report.waits, at);
    if (refusal !== undefined) report.failed.push({ at, why: refusal });
    else if (await readPage(socket)) report.pages++;
    else report.cut.push({ at, ms: now() - at });
  } catch (error) {
    report.failed.push({ at, why: error instanceof Error ? error.message : String(error) });
  } finally {
    socket.destroy();
    open--;
    endIfIdle();
  }
}

/** How long a connection takes that no name and no restart has a part in: what the machine itself is to blame for. */
async function controlOnce(): Promise<void> {
  controls++;
  const at = now();
  const socket = connect(settings.proxyPort, "127.0.0.1").setNoDelay(true);
  const { host, port } = settings.control;
  await reach(socket, [1, ...host.split(".").map(Number)], port).catch(() => undefined);
  socket.destroy();
  keepLongest(report.controls, at);
}

/** Resolves once the proxy says that it is connected, or to what else it says; `address` with its type (RFC 1928 §5, §6). */
async function reach(socket: Socket, address: number[], port: number): Promise<string | undefined> {
  const reader = octetsOf(socket);
  socket.write(Uint8Array.of(5, 1, 0));
  const [, method] = await reader.take(2);
  if (method !== 0) return `method ${method}`;
  socket.write(Uint8Array.of(5, 1, 0, ...address, port >> 8, port & 255));
  const [, reply, , type] = await reader.take(4);
  await reader.take(type === 4 ? 18 : 6);
  return reply === 0 ? undefined : `reply ${reply}`;
}

/** False when the connection ended, or was reset, before there was a page. */
async function readPage(socket: Socket): Promise<boolean> {
  const chunks: Buffer[] = [];
  const ended = new Promise<void>((resolve) => {
    socket
      .on("data", (chunk) => chunks.push(chunk))
      .once("end", resolve)
      .once("close", () => resolve());
    socket.on("error", () => resolve());
  });
  socket.write("GET / HTTP/1.0\r\n\r\n");
  await ended;
  return Buffer.concat(chunks).includes("<p>");
}

/** Reads exact numbers of octets; rejects when the connection ends first. */
function octetsOf(socket: Socket): { take(count: number): Promise<Buffer> } {
  return {
    take(count) {
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      const look = (): void => {
        const octets: Buffer | null = socket.read(count);
        if (octets === null) return;
        socket.off("readable", look).off("error", fail).off("close", fail);
        resolve(octets);
      };
      const fail = (fault?: unknown): void => reject(fault instanceof Error ? fault : new Error("it ended"));
      socket.on("readable", look).on("error", fail).on("close", fail);
      look();
      return promise;
    },
  };
}

/** Milliseconds since 1970, by a clock that does not step: the test has its own times beside these. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

function keepLongest(list: StormReport["waits"], at: number): void {
  const ms = now() - at;
  if (list.length >= kept && ms <= (list.at(-1)?.ms ?? 0)) return;
  list.push({ at, ms });
  list.sort((a, b) => b.ms - a.ms);
  list.length = Math.min(list.length, kept);
}
