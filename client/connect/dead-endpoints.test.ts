import { expect, test } from "vitest";

import { parseName } from "../../shared/name.ts";
import { addressOf } from "../testing/doh-server.ts";
import { DeadEndpoints } from "./dead-endpoints.ts";
import type { Candidate } from "./endpoint-order.ts";

const web = parseName("web.berth.internal");
const [a, b, c] = [candidate(1), candidate(2), candidate(3)];

test("one that failed goes behind the others, which keep their order", () => {
  const dead = new DeadEndpoints();
  dead.failed(a, web, 0);
  expect(dead.order([a, b, c], 1)).toEqual([b, c, a]);
});

test("none is ever left out, even when all failed", () => {
  const dead = new DeadEndpoints();
  for (const one of [c, a, b]) dead.failed(one, web, 0);
  expect(dead.order([a, b, c], 1)).toEqual([a, b, c]);
});

test("it is known by address and port, whoever found it", () => {
  const dead = new DeadEndpoints();
  dead.failed({ ...a }, undefined, 0);
  expect(dead.order([{ ...a }, { ...a, address: addressOf("10.0.0.6") }], 1)).toEqual([
    { ...a, address: "10.0.0.6" },
    a,
  ]);
});

test("it is forgotten after 10 s, counted from its last failure", () => {
  const dead = new DeadEndpoints();
  dead.failed(a, web, 0);
  dead.failed(a, web, 5_000);
  expect(dead.order([a, b], 14_999)).toEqual([b, a]);
  expect(dead.order([a, b], 15_000)).toEqual([a, b]);
});

test("it is forgotten when it works, and when its name changes", () => {
  const dead = new DeadEndpoints();
  for (const one of [a, b]) dead.failed(one, web, 0);
  dead.worked(a);
  expect(dead.order([b, a, c], 1)).toEqual([a, c, b]);
  dead.changed(new Set([parseName("other.berth.internal")]));
  expect(dead.order([b, a], 1)).toEqual([a, b]);
  dead.changed(new Set([web]));
  expect(dead.order([b, a], 1)).toEqual([b, a]);
});

test("a gap in what was heard of changes forgets all", () => {
  const dead = new DeadEndpoints();
  dead.failed(a, undefined, 0);
  dead.changed("all");
  expect(dead.order([a, b], 1)).toEqual([a, b]);
});

test("of very many those are forgotten whose failure is the longest ago", () => {
  const dead = new DeadEndpoints();
  dead.failed(a, web, 0);
  dead.failed(b, web, 0);
  dead.failed(a, web, 1);
  for (let port = 10; port < 10 + 4_095; port++) dead.failed(candidate(port), web, 2);
  expect(dead.order([a, b, c], 3)).toEqual([b, c, a]);
});

function candidate(port: number): Candidate {
  return { address: addressOf("10.0.0.5"), port };
}
