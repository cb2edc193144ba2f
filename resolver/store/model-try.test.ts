import { standardSettings } from "../settings.ts";
import { zone } from "./contract/builders.ts";
import { describeModel } from "./contract/model.ts";
import { createMemoryStore } from "./memory.ts";

describeModel(
  "memory",
  async () => {
    let now = 1_800_000_000_000;
    return {
      store: createMemoryStore(standardSettings(zone), () => now),
      advance: async (ms: number) => {
        now += ms;
      },
      restart: undefined,
    };
  },
  {
    runs: Number(process.env.BERTH_MODEL_RUNS ?? 50),
    length: Number(process.env.BERTH_MODEL_LENGTH ?? 40),
    ...(process.env.BERTH_MODEL_SEED ? { seed: Number(process.env.BERTH_MODEL_SEED) } : {}),
  },
);
