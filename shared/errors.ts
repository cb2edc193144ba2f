/** A fault berth can name. `who` is the part that failed (a host, a file, an option); `retryable` says if waiting helps. */
export class BerthError extends Error {
  override readonly name = "BerthError";
  readonly code: string;
  readonly who: string;
  readonly retryable: boolean;
  /** Facts a caller may act on, such as the epoch a registry holds. Never a secret: logs print them. */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: BerthErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.who = options.who ?? "berth";
    this.retryable = options.retryable ?? false;
    this.facts = options.facts ?? {};
  }
}

export interface BerthErrorOptions {
  who?: string;
  retryable?: boolean;
  facts?: Readonly<Record<string, unknown>>;
  cause?: unknown;
}

/** One line for a log or a terminal: the message, then the chain of causes that adds something to it. */
export function describeFault(fault: unknown): string {
  const parts: string[] = [];
  let at = fault;
  // A fixed depth: causes may go in a circle.
  for (let depth = 0; depth < 8 && at !== undefined && at !== null; depth++, at = causeOf(at)) {
    const text = textOf(at);
    if (text !== "" && !parts.some((part) => part.includes(text))) parts.push(text);
  }
  return parts.join(": ");
}

function causeOf(fault: unknown): unknown {
  if (fault instanceof AggregateError && fault.message === "") return fault.errors[0];
  return fault instanceof Error ? fault.cause : undefined;
}

function textOf(fault: unknown): string {
  return fault instanceof Error ? fault.message : String(fault);
}
