import type { Declared, Turn } from "../../../../shared/binding.ts";
import { digestOf } from "../../../../shared/digest.ts";
import { declaredBy, hostIds, lettersOfHosts, type Saying, type TokenName } from "./universe.ts";

/** One process that speaks for a host, with the rules an agent follows: each host has two, as a cloned machine would make it. */
export class Speaker {
  readonly hostId: string;
  /** For people: `Q`, and `Q'` for the clone. */
  readonly name: string;
  token: TokenName = "plain";
  lease = 15;
  generation = "";
  declared: Declared;
  digest = "";
  readonly #host: number;
  #epoch = 1;
  #sequence = 0;
  #isSettled = false;
  #isRaised = false;

  constructor(host: number, isClone: boolean) {
    this.#host = host;
    this.hostId = hostIds[host] ?? "";
    this.name = `${lettersOfHosts[host]}${isClone ? "'" : ""}`;
    this.declared = declaredBy(host, { label: "nas", families: "v4", wishes: [] });
  }

  async declare(declared: Declared): Promise<void> {
    this.declared = declared;
    this.digest = await digestOf(declared);
  }

  /** What it would declare to mean `saying`. */
  meaning(saying: Saying): Declared {
    return declaredBy(this.#host, saying);
  }

  nextTurn(): Turn {
    this.#sequence += 1;
    return { generation: this.generation, epoch: this.#epoch, sequence: this.#sequence };
  }

  settle(): void {
    this.#isSettled = true;
    this.#isRaised = false;
  }

  /** True when it may speak again, in an epoch above the held one; else it stops, and asks with its lowest turn from then on. */
  isRaisedAbove(heldEpoch: number, leaseRemaining: number): boolean {
    const mayRaise = (!this.#isSettled || leaseRemaining === 0) && !this.#isRaised;
    this.#epoch = mayRaise ? heldEpoch + 1 : 1;
    if (!mayRaise) this.#sequence = 0;
    this.#isRaised = mayRaise;
    this.#isSettled ||= mayRaise;
    return mayRaise;
  }
}
