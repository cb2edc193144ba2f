import type { UdpBudget } from "./udp-budget.ts";

/** While the destination is looked for. */
const mostWaiting = 16;

interface Waiting {
  payload: Uint8Array;
  giveBack: () => void;
}

/** The datagrams of one destination that cannot be sent yet, few and within the budget of all. */
export class WaitingDatagrams {
  readonly #budget: Pick<UdpBudget, "waiting">;
  #waiting: Waiting[] = [];

  constructor(budget: Pick<UdpBudget, "waiting">) {
    this.#budget = budget;
  }

  /** False when there is no room. */
  add(payload: Uint8Array): boolean {
    if (this.#waiting.length >= mostWaiting) return false;
    const giveBack = this.#budget.waiting(payload.length);
    if (giveBack === undefined) return false;
    this.#waiting.push({ payload, giveBack });
    return true;
  }

  /** All of them, in their order; none is left. */
  take(): Uint8Array[] {
    const taken = this.#waiting;
    this.#waiting = [];
    for (const { giveBack } of taken) giveBack();
    return taken.map(({ payload }) => payload);
  }
}
