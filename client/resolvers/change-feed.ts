import { type FeedEvent, followChanges } from "../../shared/changes-client.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Name } from "../../shared/name.ts";
import type { ResolverChoice } from "../../shared/resolver-choice.ts";

export interface ChangeFeedPorts {
  fetch: typeof fetch;
  log: Log;
  choice: ResolverChoice;
  readToken: () => Promise<string>;
  now: () => number;
  random: () => number;
  after: (ms: number, run: () => void) => () => void;
  /** Names whose answers may be others now; "all" when something may have been missed. */
  onChange: (services: ReadonlySet<Name> | "all") => void;
}

/** Hears of changes for as long as it is not ended, from whichever resolver is there. */
export class ChangeFeed {
  readonly #ports: ChangeFeedPorts;
  #state: "following" | "broken" = "broken";
  #isTold = false;

  constructor(ports: ChangeFeedPorts) {
    this.#ports = ports;
  }

  state(): "following" | "broken" {
    return this.#state;
  }

  /** Ends with `signal`. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const turned = new AbortController();
      const url = this.#ports.choice.current();
      const ended = AbortSignal.any([signal, turned.signal]);
      for await (const event of followChanges(this.#access(url), this.#followPorts(url, turned), ended)) {
        this.#heard(event);
      }
    }
  }

  #access(url: string) {
    const { fetch, readToken } = this.#ports;
    return { fetch, url, readToken };
  }

  #followPorts(url: string, turned: AbortController) {
    const { after, random } = this.#ports;
    const onOpen = (): void => this.#opened();
    const onFault = (fault: unknown): void => {
      this.#broke(fault);
      if (this.#turnFrom(url, fault)) turned.abort();
    };
    return { after, random, onOpen, onFault };
  }

  #opened(): void {
    if (this.#isTold) this.#ports.log.info("changes are heard of again");
    this.#isTold = false;
    this.#state = "following";
  }

  #heard(event: FeedEvent): void {
    const names = () => new Set([...event.services.map(({ name }) => name), ...goneIn(event)]);
    this.#ports.onChange(event.kind === "snapshot" ? "all" : names());
  }

  #broke(fault: unknown): void {
    this.#state = "broken";
    if (this.#isTold) return;
    this.#isTold = true;
    const { log } = this.#ports;
    log.info(`changes are not heard of, so answers are kept for their TTL: ${describeFault(fault)}`);
  }

  /** Whether another resolver is to be heard. One that only has no feed for us is as good as before for everything else. */
  #turnFrom(url: string, fault: unknown): boolean {
    const { choice, now } = this.#ports;
    if (fault instanceof BerthError && fault.code === "resolver-unreachable" && choice.current() === url) {
      choice.failed(url, now(), describeFault(fault));
    }
    return choice.current() !== url;
  }
}

function goneIn(event: FeedEvent): readonly Name[] {
  return event.kind === "change" ? event.gone : [];
}
