import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";

import type { Address } from "../../shared/address.ts";
import type { WantedRelay } from "../declare/input.ts";
import { loopback, otherLoopback, RelayStand, textOf, whenEvent } from "../testing/relay-stand.ts";
import type { RelayPortStore } from "./open-relay.ts";
import { RelayBook } from "./relay-book.ts";
import type { AllottedPort } from "./relay-ports.ts";

/** Below the ports the kernel gives out, and another one for each process of a test run. */
const first = 21_000 + (process.pid % 1_000) * 10;
const range = { first, last: first + 4 };
let stand: RelayStand;
let stored: readonly AllottedPort[];
let saveFault: Error | undefined;
let books: RelayBook[];
let changed: PromiseWithResolvers<void>;
let wallNow: number;

const store: RelayPortStore = {
  load: async () => stored,
  async save(ports) {
    if (saveFault !== undefined) throw saveFault;
    stored = structuredClone(ports);
  },
};

beforeEach(() => {
  stand = new RelayStand();
  stored = [];
  saveFault = undefined;
  wallNow = 1_000;
  books = [];
});

afterEach(async () => {
  await Promise.all(books.map((book) => book.close()));
  await stand.close();
});

it("opens what is wanted, tells the port, and relays", async () => {
  const book = newBook();
  const serverPort = await stand.serve((socket) => void socket.end("served"));
  const port = await openPort(book, relayTo("web", serverPort));
  expect(port).toBeGreaterThanOrEqual(range.first);
  expect(port).toBeLessThanOrEqual(range.last);
  const client = stand.connect(port);
  client.end();
  expect(await textOf(client)).toBe("served");
  expect(book.counters().get("web")).toMatchObject({ connectionsTotal: 1, bytesOut: 6 });
});

it("gives a relay the same port again after a restart of its container, and of the agent", async () => {
  const book = newBook();
  const port = await openPort(book, relayTo("web", 1));
  book.want([]);
  expect(book.states().size).toBe(0);
  expect(await openPort(book, relayTo("web", 2))).toBe(port);
  await book.close();
  expect(stored).toMatchObject([{ key: "web", protocol: "tcp", port, usedAt: 1_000 }]);
  const occupied = stored.map(({ port: own }) => own);
  const next = newBook();
  await want(
    next,
    ["a", "b", "c", "d", "web"].map((key) => relayTo(key, 1)),
  );
  expect(next.states().get("web")).toEqual({ kind: "open", port: occupied[0] });
});

it("closes a relay that is wanted no more", async () => {
  const book = newBook();
  const serverPort = await stand.serve((socket) => void socket.write("hello"));
  const port = await openPort(book, relayTo("web", serverPort));
  const client = stand.connect(port);
  await whenEvent(client, "data");
  const cut = whenEvent(client, "error");
  book.want([]);
  await cut;
  expect(((await whenEvent(stand.connect(port), "error")) as NodeJS.ErrnoException).code).toBe(
    "ECONNREFUSED",
  );
});

it("follows its container to another address without closing", async () => {
  const book = newBook();
  const [old, young] = await Promise.all(
    ["old", "young"].map((word) => stand.serve((socket) => void socket.end(word))),
  );
  const port = await openPort(book, relayTo("web", old ?? 0));
  book.want([relayTo("web", young ?? 0)]);
  expect(book.states().get("web")).toEqual({ kind: "open", port });
  const client = stand.connect(port);
  client.end();
  expect(await textOf(client)).toBe("young");
});

it("opens anew, at the same port, when it is to listen elsewhere", async () => {
  const book = newBook();
  const serverPort = await stand.serve((socket) => void socket.end("served"));
  const port = await openPort(book, relayTo("web", serverPort));
  const moved = { ...relayTo("web", serverPort), listen: [otherLoopback] };
  expect(await openPort(book, moved)).toBe(port);
  const client = stand.connect(port, otherLoopback);
  client.end();
  expect(await textOf(client)).toBe("served");
  const fault = (await whenEvent(stand.connect(port), "error")) as NodeJS.ErrnoException;
  expect(fault.code).toBe("ECONNREFUSED");
});

it("passes by a port that somebody else has at one of its addresses", async () => {
  const book = newBook();
  const port = await openPort(book, relayTo("web", 1));
  await book.close();
  const blocker = createServer();
  await new Promise<void>((ready) => blocker.listen(port, otherLoopback, ready));
  const next = newBook();
  const relay = { ...relayTo("web", 1), listen: [loopback, otherLoopback] };
  expect(await openPort(next, relay)).not.toBe(port);
  await new Promise((closed) => blocker.close(closed));
});

it("says that the range is too small for one relay too many, and opens it when there is room", async () => {
  const book = newBook();
  const relays = ["a", "b", "c", "d", "e", "f"].map((key) => relayTo(key, 1));
  await want(book, relays);
  const ports = relays.slice(0, 5).map(({ key }) => book.states().get(key));
  expect(new Set(ports.map((state) => (state?.kind === "open" ? state.port : 0))).size).toBe(5);
  const failed = book.states().get("f");
  expect(failed?.kind === "failed" && failed.fault).toBe(
    `all ports of ${range.first}-${range.last} are taken; give a wider range with --relay-ports`,
  );
  const again = async () => {
    changed = Promise.withResolvers();
    await stand.clock.advance(10_000);
    await changed.promise;
    return book.states().get("f");
  };
  book.want(relays.slice(1));
  const resting = await again();
  expect(resting?.kind === "failed" && resting.fault).toBe(
    `all ports of ${range.first}-${range.last} are taken, or were another relay's less than 24 hours ago (1 of them), and clients may still take them for that one's; give a wider range with --relay-ports`,
  );
  wallNow += 24 * 3_600_000;
  expect((await again())?.kind).toBe("open");
});

it("shares one budget of descriptors among all relays, TCP and UDP", async () => {
  const book = newBook(8);
  const serverPort = await stand.serve((socket) => void socket.write("hello"));
  const udp = { ...relayTo("dns", serverPort), protocol: "udp" as const };
  const relays = [relayTo("a", serverPort), relayTo("b", serverPort), udp];
  await want(book, relays);
  const [a = 0, b = 0, dns = 0] = relays.map(({ key }) => portIn(book, key));
  // Each takes two, and the half of eight is one client's.
  const first = stand.connect(a);
  for (const client of [first, stand.connect(b)]) await whenEvent(client, "data");
  expect(await whenEvent(stand.connect(a), "error")).toMatchObject({ code: "ECONNRESET" });
  expect(await whenEvent(stand.connect(b), "error")).toMatchObject({ code: "ECONNRESET" });
  const socket = createSocket("udp4");
  const send = () => new Promise((sent) => socket.send("x", dns, loopback, sent));
  try {
    await send();
    await expect.poll(() => book.counters().get("dns")?.datagramsDropped).toBe(1);
    expect(stand.log.matching(/^warn 127\.0\.0\.1 has taken half of the 8 descriptors/)).toHaveLength(1);
    first.resetAndDestroy();
    await expect.poll(() => book.counters().get("a")?.connectionsOpen).toBe(0);
    await send();
    await expect.poll(() => book.counters().get("dns")?.datagramsIn).toBe(1);
    expect(await whenEvent(stand.connect(a), "error")).toMatchObject({ code: "ECONNRESET" });
    // What a UDP client took comes back when it has been quiet.
    await stand.clock.advance(60_000);
    await whenEvent(stand.connect(a), "data");
  } finally {
    socket.close();
  }
});

it("says so when the host is advertised at an address it does not have, and tries again", async () => {
  const book = newBook();
  await want(book, [{ ...relayTo("web", 1), listen: ["192.0.2.7" as Address] }]);
  const state = book.states().get("web");
  expect(state?.kind === "failed" && state.fault).toContain("not an address of this machine");
  changed = Promise.withResolvers();
  await stand.clock.advance(10_000);
  await changed.promise;
  expect(book.states().get("web")?.kind).toBe("failed");
});

it("does not call a relay open that listens nowhere", async () => {
  const book = newBook();
  await want(book, [{ ...relayTo("web", 1), listen: [] }]);
  expect(book.states().get("web")?.kind).toBe("failed");
});

it("relays UDP beside TCP at one port", async () => {
  const book = newBook();
  const relays = [relayTo("dns", 1), { ...relayTo("dns", 1), key: "dns-udp", protocol: "udp" as const }];
  await want(book, relays);
  expect([...book.states().values()].map(({ kind }) => kind)).toEqual(["open", "open"]);
});

it("keeps up with wants that change while it opens", async () => {
  const book = newBook();
  for (let turn = 0; turn < 20; turn++) book.want(turn % 2 === 0 ? [relayTo("web", 1)] : []);
  await want(book, [relayTo("db", 1)]);
  await expect.poll(() => book.states().get("db")?.kind).toBe("open");
  expect([...book.states().keys()]).toEqual(["db"]);
});

it("leaves no listener of a relay that was given up while it opened", async () => {
  const book = newBook();
  const kept = relayTo("kept", 1);
  await openPort(book, kept);
  book.want([kept, relayTo("web", 1)]);
  await want(book, [kept, relayTo("db", 1)]);
  const states = [...book.states().values()];
  const open = states.flatMap((state) => (state.kind === "open" ? [state.port] : []));
  expect(open).toHaveLength(2);
  for (let port = range.first; port <= range.last; port++)
    if (!open.includes(port))
      expect(await whenEvent(stand.connect(port), "error")).toMatchObject({ code: "ECONNREFUSED" });
});

it("opens what is wanted while it tells of a change", async () => {
  const book = newBook();
  changed = Promise.withResolvers();
  changed.resolve = () => book.want([relayTo("web", 1), relayTo("db", 1)]);
  book.want([relayTo("web", 1)]);
  await expect.poll(() => book.states().get("db")?.kind).toBe("open");
});

it("relays on when its ports cannot be stored, and says so once", async () => {
  saveFault = new Error("disk full");
  const book = newBook();
  await openPort(book, relayTo("web", 1));
  await want(book, [relayTo("web", 1), relayTo("db", 1)]);
  await expect.poll(() => stand.log.matching(/disk full/)).toHaveLength(1);
  saveFault = undefined;
  book.want([]);
  await expect.poll(() => stand.log.matching(/stored again/)).toHaveLength(1);
});

it("opens nothing after its close", async () => {
  const book = newBook();
  book.want([relayTo("web", 1)]);
  await book.close();
  book.want([relayTo("web", 1)]);
  expect(book.states().size).toBe(0);
  const free = createServer();
  for (let port = range.first; port <= range.last; port++) {
    await new Promise<void>((ready) => free.listen(port, loopback, ready));
    await new Promise((closed) => free.close(closed));
  }
});

function newBook(descriptors = 16_384): RelayBook {
  const onChange = (): void => changed.resolve();
  const { clock, log } = stand;
  const book = new RelayBook({ range, store, descriptors, onChange, log, clock, wallNow: () => wallNow });
  books.push(book);
  return book;
}

/** Until the book says that something has changed. */
async function want(book: RelayBook, relays: readonly WantedRelay[]): Promise<void> {
  changed = Promise.withResolvers();
  book.want(relays);
  await changed.promise;
}

async function openPort(book: RelayBook, relay: WantedRelay): Promise<number> {
  await want(book, [relay]);
  return portIn(book, relay.key);
}

function portIn(book: RelayBook, key: string): number {
  const state = book.states().get(key);
  if (state?.kind !== "open") throw new Error(`not open: ${state?.fault}`);
  return state.port;
}

function relayTo(key: string, port: number): WantedRelay {
  const target = { address: loopback, port };
  return { key, container: key, run: `${key}@1`, protocol: "tcp", listen: [loopback], target };
}
