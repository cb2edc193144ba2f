import { Hono } from "hono";

import { FakeClock } from "../../agent/testing/fake-clock.ts";
import { changesPath, EventParser, type ServerSentEvent } from "../../shared/changes.ts";
import { BerthError } from "../../shared/errors.ts";
import { createLog } from "../../shared/log.ts";
import { type Name, nameBelow } from "../../shared/name.ts";
import type { ServiceList } from "../../shared/registry-views.ts";
import { ChangeLog } from "../change-log.ts";
import type { AccessEnv } from "../routes/admin-only.ts";
import { type ChangesParts, changesFeed } from "../routes/changes.ts";
import { ip, zone } from "../store/contract/builders.ts";
import { accessOf } from "./tokens.ts";

type Service = ServiceList["services"][number];

/** A registry that is nothing but names and a change log, with the feed's route in front of it. */
export function createFeedBed(changed: Partial<ChangesParts> = {}) {
  const clock = new FakeClock();
  const changes = new ChangeLog("g", 0, { changes: 5, names: 20 });
  const present = new Map<Name, Service>();
  /** What was asked for, names without the zone; "all" for everything. */
  const reads: string[] = [];
  const logged: string[] = [];
  const bed = {
    clock,
    changes,
    reads,
    logged,
    broken: false,
    app: new Hono<AccessEnv>(),
    touch,
    add,
    remove,
  };
  async function services(names?: Name[]): Promise<ServiceList> {
    reads.push(names === undefined ? "all" : names.map(labelOf).join(" "));
    if (bed.broken) throw new BerthError("store-unavailable", "the disk is away", { retryable: true });
    const wanted = names ?? [...present.keys()].toSorted();
    const found = wanted.flatMap((name) => present.get(name) ?? []);
    return { revision: changes.revision, zone, services: found };
  }
  function touch(...names: Name[]): void {
    changes.note({ revision: changes.revision + 1, names, hosts: [] });
  }
  function add(...labels: string[]): void {
    for (const label of labels) present.set(named(label), serviceOf(named(label)));
    touch(...labels.map(named));
  }
  function remove(...labels: string[]): void {
    for (const label of labels) present.delete(named(label));
    touch(...labels.map(named));
  }
  const log = createLog("resolver", "debug", (line) => logged.push(line));
  bed.app.use(async (context, next) => {
    context.set(
      "access",
      accessOf("reader", { tokenId: context.req.header("x-token-id") ?? "bootstrap-reader" }),
    );
    await next();
  });
  bed.app.get(changesPath, changesFeed({ changes, services, timers: clock, log, ...changed }));
  bed.app.onError((fault, context) => {
    if (!(fault instanceof BerthError)) throw fault;
    return context.json({ error: { code: fault.code, message: fault.message } }, 503);
  });
  return bed;
}

export function named(label: string): Name {
  return nameBelow(label, zone);
}

/** Reads a feed as it comes: events in a few words, `snapshot 3: web db` or `change 4: web, gone db`, and `beat`. */
export function readerOf(body: ReadableStream<Uint8Array> | null) {
  if (body === null) throw new Error("the reply has no body");
  const reader = body.getReader();
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const ready: string[] = [];
  /** Of the next chunks: an event, a heartbeat, or `end`. */
  async function next(): Promise<string> {
    for (;;) {
      const first = ready.shift();
      if (first !== undefined) return first;
      const { done, value } = await reader.read();
      if (done) return "end";
      const text = decoder.decode(value, { stream: true });
      if (text === ":\n\n") return "beat";
      ready.push(...parser.push(text).map(wordsFor));
    }
  }
  return { next, cancel: () => reader.cancel() };
}

function wordsFor({ id, event, data }: ServerSentEvent): string {
  const body = JSON.parse(data) as { revision: number; services: Service[]; gone?: Name[] };
  if (!id.endsWith(`.${body.revision}`)) throw new Error(`id ${id} of revision ${body.revision}`);
  const services = body.services.map(({ name }) => labelOf(name)).join(" ");
  const gone =
    body.gone === undefined || body.gone.length === 0 ? "" : `, gone ${body.gone.map(labelOf).join(" ")}`;
  return `${event} ${body.revision}: ${services}${gone}`;
}

function serviceOf(name: Name): Service {
  const at = {
    hostLabel: "nas",
    container: "c".repeat(4_000),
    addresses: [ip("10.0.0.5")],
    port: 8080,
    fixed: true,
    health: "none",
  };
  return { name, ports: [{ protocol: "tcp", servicePort: 80, endpoints: [at] }] };
}

function labelOf(name: Name): string {
  return name.replace(`.${zone}`, "");
}
