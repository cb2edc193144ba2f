import { standardSettings } from "../settings.ts";
import { modelRuns } from "../testing/model-runs.ts";
import { zone } from "./contract/builders.ts";
import { describeModel } from "./contract/model.ts";
import { describeStore } from "./contract.ts";
import { createMemoryStore } from "./memory.ts";

async function makeMemoryStore() {
  let now = 1_800_000_000_000;
  return {
    store: createMemoryStore(standardSettings(zone), () => now),
    advance: async (ms: number) => {
      now += ms;
    },
    restart: undefined,
  };
}

describeStore("memory", makeMemoryStore, { restart: "it lasts as long as the process" });

describeModel("memory", makeMemoryStore, modelRuns(100));
