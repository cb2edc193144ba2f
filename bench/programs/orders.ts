import { describeFault } from "../../shared/errors.ts";

/** What a program can be told to do: each order takes one argument that a message can carry, and gives one such result. */
export type Orders = Record<string, (argument: never) => unknown>;

export interface OrderReply {
  id: number;
  result?: unknown;
  fault?: string;
}

/** Carries out the orders that `Program.ask` sends. The process ends when the one that sends them does. */
export function takeOrders(orders: Orders): void {
  process.on("message", async ({ id, order, argument }: { id: number; order: string; argument: never }) => {
    try {
      reply({ id, result: await orders[order]?.(argument) });
    } catch (fault) {
      reply({ id, fault: describeFault(fault) });
    }
  });
  process.once("disconnect", () => process.exit());
}

function reply(message: OrderReply): void {
  if (process.connected) process.send?.(message);
}
