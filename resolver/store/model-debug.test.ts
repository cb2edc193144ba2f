import { test } from "vitest";
import { standardSettings } from "../settings.ts";
import { zone } from "./contract/builders.ts";
import { World } from "./contract/model/world.ts";
import { createMemoryStore } from "./memory.ts";

test("debug", { timeout: 200_000 }, async () => {
    let now = 1_800_000_000_000;
    const world = new World({ store: createMemoryStore(standardSettings(zone), () => now), advance: async (ms) => { now += ms; }, restart: undefined }, { forgetsTurns: true }, 0);
    const q = world.speakers[0]![0];
    q.token = "narrow"; q.lease = 3600;
    const wish = (name: any, port = 8080) => ({ name, rule: "compose" as const, servicePort: 80 as const, port, at: "all" as const, health: "none" as const });
    await q.declare(q.meaning({ label: "nas", families: "v4", wishes: [wish("web.shop"), wish("web.shop"), wish("web.shop"), wish("api")] }));
    await world.push(q);
    const m = (world as any).model ?? world;
    q.token = "small";
    await world.push(q);
});
