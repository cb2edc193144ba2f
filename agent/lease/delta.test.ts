import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import type { Binding, Declared } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import type { Name } from "../../shared/name.ts";
import { type Difference, deltaBetween, deltaWorthPushing } from "./delta.ts";

function bindingOf(name: string, given: Partial<Binding> = {}): Binding {
  return {
    name: `${name}.berth.internal.` as Name,
    rule: "container",
    protocol: "tcp",
    servicePort: 80,
    addresses: ["10.0.0.5" as Address],
    port: 32768,
    fixed: false,
    container: name,
    instance: name,
    health: "none",
    priority: 0,
    weight: 0,
    ...given,
  };
}

function declaredOf(bindings: Binding[], given: Partial<Declared> = {}): Declared {
  const addresses = ["10.0.0.5" as Address, "10.0.0.6" as Address];
  return { hostLabel: "alpha", addresses, local: false, bindings, problems: [], ...given };
}

/** As a resolver does it. */
function applied(held: Declared, { declared, changed, gone }: Difference): Declared {
  const replaced = new Set([...gone, ...changed.map(({ name }) => name)]);
  return {
    ...declared,
    bindings: [...held.bindings.filter(({ name }) => !replaced.has(name)), ...changed],
  };
}

const anyBinding = fc
  .record({
    name: fc.constantFrom("a", "b", "c", "d"),
    port: fc.integer({ min: 1, max: 3 }),
    servicePort: fc.constantFrom(80, 443),
    health: fc.constantFrom("none", "healthy"),
    isTls: fc.boolean(),
    txt: fc.constantFrom<string[]>([], ["v=1"], ["v=1", "a=b"]),
  })
  .map(({ name, isTls, ...given }) => bindingOf(name, { ...given, ...(isTls ? { tls: true } : {}) }));
const anyDeclared = fc
  .record({ bindings: fc.array(anyBinding, { maxLength: 8 }), hostLabel: fc.constantFrom("alpha", "beta") })
  .map(({ bindings, hostLabel }) => declaredOf(bindings, { hostLabel }));

describe("deltaBetween", () => {
  test.each<[string, Partial<Binding>]>([
    ["health", { health: "unhealthy" }],
    ["tls", { tls: true }],
    ["txt", { txt: ["v=1"] }],
  ])("tells of a name of which nothing but %s is another", (_, given) => {
    const wanted = [bindingOf("a", given), bindingOf("b")];
    const delta = deltaBetween(declaredOf([bindingOf("a"), bindingOf("b")]), declaredOf(wanted));
    expect(delta).toMatchObject({ changed: [wanted[0]], gone: [] });
  });

  test("applied to the one set, gives the other; and names none that is the same in both", async () => {
    await fc.assert(
      fc.asyncProperty(anyDeclared, anyDeclared, async (held, wanted) => {
        const delta = deltaBetween(held, wanted);
        expect(await digestOf(applied(held, delta))).toBe(await digestOf(wanted));
        expect(deltaBetween(wanted, wanted)).toMatchObject({ changed: [], gone: [] });
      }),
      { numRuns: 200 },
    );
  });

  test("one port of a name is another: the name comes with all its ports, the others not at all", () => {
    const held = declaredOf([
      bindingOf("a"),
      bindingOf("a", { servicePort: 443 }),
      bindingOf("b"),
      bindingOf("c"),
    ]);
    const now = [bindingOf("a", { port: 40_000 }), bindingOf("a", { servicePort: 443 })];
    const { changed, gone } = deltaBetween(held, declaredOf([...now, bindingOf("b")]));
    expect(changed).toEqual(now);
    expect(gone).toEqual(["c.berth.internal."]);
  });

  test("another order is no change", () => {
    const bindings = [bindingOf("a"), bindingOf("a", { servicePort: 443 }), bindingOf("b")];
    const delta = deltaBetween(declaredOf(bindings), declaredOf(bindings.toReversed()));
    expect(delta).toMatchObject({ changed: [], gone: [] });
  });

  test("what else the host says about itself is in it, changed or not", () => {
    const problems = [{ container: "x", code: "unreadable", message: "no" }];
    const { declared } = deltaBetween(declaredOf([bindingOf("a")]), declaredOf([], { problems }));
    expect(declared).toEqual({
      hostLabel: "alpha",
      addresses: ["10.0.0.5", "10.0.0.6"],
      local: false,
      problems,
    });
  });
});

describe("deltaWorthPushing", () => {
  const many = (count: number, port = 32768) =>
    Array.from({ length: count }, (_, index) => bindingOf(`n${index}`, { port }));

  test("a set below 200 bindings is pushed whole", () => {
    expect(deltaWorthPushing(declaredOf(many(199)), declaredOf(many(198)))).toBeUndefined();
    expect(deltaWorthPushing(declaredOf(many(200)), declaredOf(many(199)))).toBeDefined();
  });

  test("so is one of which a quarter of the names is another, be they changed, new or gone", () => {
    const held = declaredOf(many(200));
    const changing = (count: number) => declaredOf([...many(count, 40_000), ...many(200).slice(count)]);
    expect(deltaWorthPushing(held, changing(49))?.changed).toHaveLength(49);
    expect(deltaWorthPushing(held, changing(50))).toBeUndefined();
    expect(deltaWorthPushing(held, declaredOf(many(249)))).toBeDefined();
    expect(deltaWorthPushing(held, declaredOf(many(250)))).toBeUndefined();
    expect(deltaWorthPushing(held, declaredOf(many(151)))).toBeDefined();
    expect(deltaWorthPushing(held, declaredOf(many(150)))).toBeUndefined();
  });
});
