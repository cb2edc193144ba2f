import { parseArgs } from "node:util";

import { fuzz } from "./fuzz.ts";
import type { Tally } from "./pure.ts";

/** `npm run fuzz -- --count 1000000 --seed 1`: mutated streams of SOCKS4, SOCKS5 and HTTP, cut into random chunks. */
const { values } = parseArgs({
  options: { count: { type: "string", default: "1000000" }, seed: { type: "string" } },
});
const count = Number(values.count);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed)) {
  console.error("--count takes a whole number from 1 up, --seed a whole number");
  process.exit(2);
}
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (fault) => {
    console.error(`${event}, seed ${seed}:`, fault);
    process.exit(1);
  });
}
console.log(`seed ${seed}, ${count} cases`);
const { pure, http, sockets } = await fuzz(seed, count);
console.log(`${pure.count} through the hand-shake: ${listed(pure.tally)}`);
console.log(`${http.count} through the HTTP proxy in memory: ${listed(http.tally)}`);
console.log(`heap after a third of them and after all, collected: ${http.heapMiB.join(", ")} MiB`);
const { before, after } = sockets.descriptors;
console.log(
  `${sockets.cases} through sockets, and as many datagrams: ${before} descriptors before, ${after} after`,
);
console.log(`heap after each round, collected: ${sockets.heapMiB.join(", ")} MiB`);

function listed(tally: Tally): string {
  const kinds = [...tally].toSorted(([, a], [, b]) => b - a);
  return kinds.map(([kind, times]) => `${times} ${kind}`).join(", ");
}
