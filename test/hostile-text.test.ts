import fc from "fast-check";
import { expect, test } from "vitest";

import { declare } from "../agent/declare/declare.ts";
import { explain } from "../agent/declare/explain.ts";
import { afterFault, type EngineView, firstView } from "../agent/engine/engine-view.ts";
import { assembleStatus } from "../agent/status/assemble-status.ts";
import { replyTo } from "../agent/status/status-reply.ts";
import { containerOf, inputOf, rulesOf } from "../agent/testing/builders.ts";
import { parseMetrics } from "../agent/testing/prometheus-text.ts";
import { RecordedLog } from "../agent/testing/recorded-log.ts";
import { statusLines } from "../cli/status-lines.ts";
import { BerthError } from "../shared/errors.ts";
import { createLog } from "../shared/log.ts";

/*
 * Whoever may start a container chooses its name and labels, and whoever is the engine its messages. All of them are quoted where an operator
 * looks: in the log, in metrics and status, in explanations. None may start a line there, command the terminal, or pass for another level.
 */

const unit = fc.constantFrom(...'\n\r\u2028\u2029\u0085\v\0\b\u001b\u009b\u202e\u200b\ud800"\\{}#<3>[2J a.é');
const hostile = fc.oneof(
  fc.string({ unit, maxLength: 60 }),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom("\n<0>agent: forged", "\u001b[2J\u001b]0;x\u0007", "web\nerror agent: forged"),
);
const keys = [
  "berth.name",
  "berth.port.80",
  "berth.check",
  "SERVICE_NAME",
  "traefik.http.routers.a.rule",
  "berth.txt.a",
];
const labels = fc.dictionary(fc.oneof(fc.constantFrom(...keys), hostile), hostile, { maxKeys: 6 });

const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

function statusOfHostile(name: string, labelsOf: Record<string, string>, said: string) {
  const container = containerOf(name, { labels: labelsOf, image: said, networkMode: said });
  const outcome = declare(inputOf([container]), rulesOf());
  const view: EngineView = afterFault(
    firstView(0),
    new BerthError("engine-fault", said, { cause: new Error(name) }),
    true,
  );
  const lease = {
    url: "https://resolver.example",
    fault: said,
    isLinked: false,
    pushes: 0,
    renewals: 0,
    hostLabel: said,
  };
  const status = assembleStatus(
    {
      ...{ version: "0.1.0", startedAt: 0, hostId: "a".repeat(52), declaredLabel: "nas", addresses: [] },
      ...{ bindings: outcome.bindings.length, problems: outcome.problems, notes: outcome.notes.length },
      addressFault: said,
      engines: [
        {
          label: said,
          where: name,
          addressFault: said,
          view,
          counters: { passes: 0, events: 0, lastReadAt: undefined },
        },
      ],
      lease: { ...lease, leaseMs: undefined, renewedAt: undefined, refused: [] },
      relays: { wanted: outcome.relays, states: new Map(), counters: new Map(), finishing: [] },
      checks: { wanted: outcome.checks, states: new Map(), faultOf: () => said },
      flapping: [name],
      services: [],
    },
    1000,
  );
  return { container, outcome, status };
}

test("no container name, label or engine message starts a line, commands a terminal or forges a level", {
  timeout: 60_000,
}, () => {
  const property = fc.property(hostile, labels, hostile, (name, labelsOf, said) => {
    const { container, outcome, status } = statusOfHostile(name, labelsOf, said);
    for (const style of ["word", "priority"] as const) {
      const written: string[] = [];
      const log = createLog("agent", "debug", (line) => written.push(line), style);
      for (const { container: of, message } of outcome.problems) log.warn(`${of}: ${message}`);
      for (const note of outcome.notes) log.debug(note);
      log.error(said);
      expect(written).toHaveLength(outcome.problems.length + outcome.notes.length + 1);
      for (const line of written) {
        expect(line).toMatch(style === "word" ? /^(warn |debug|error) agent: / : /^<[347]>agent: /);
        expect(line).not.toMatch(unsafe);
      }
    }
    for (const line of statusLines(status)) expect(line).not.toMatch(unsafe);
    const explained = () => explain(inputOf([container]), rulesOf(), name) ?? [said];
    const means = {
      source: { status: () => status, explain: explained },
      log: new RecordedLog(),
      isOpenToOthers: false,
      ownNames: [],
      mayExplain: () => true,
    };
    const page = (target: string) =>
      replyTo({ method: "GET", target, host: "localhost", hasBody: false }, means);
    expect(() => parseMetrics(page("/metrics").text)).not.toThrow();
    const lines = page("/explain?of=web").text.split("\n");
    expect(lines).toHaveLength(explained().length + 1);
    expect(lines.join("")).not.toMatch(unsafe);
    expect(page("/status").text.slice(0, -1)).not.toMatch(unsafe);
    expect(means.log.lines).toEqual([]);
  });
  fc.assert(property, { numRuns: 200 });
});
