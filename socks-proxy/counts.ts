/** What the proxy has done since it started, for the page and the metrics. */
export interface ProxyCounts {
  /** Open now. */
  connections: number;
  /** Taken, those that were turned away included. */
  accepted: number;
  /** Requests that led to an endpoint. */
  granted: number;
  /** Requests and hand-shakes that did not, by the kind of reason. */
  refused: ReadonlyMap<string, number>;
  /** From clients to endpoints and back, of relays and HTTP requests that have ended, and of datagrams as they go. */
  bytesUp: number;
  bytesDown: number;
}

/** The counts while they are made. */
export class Counts implements ProxyCounts {
  connections = 0;
  accepted = 0;
  granted = 0;
  bytesUp = 0;
  bytesDown = 0;
  readonly refused = new Map<string, number>();

  refuse(kind: string): void {
    this.refused.set(kind, (this.refused.get(kind) ?? 0) + 1);
  }
}
