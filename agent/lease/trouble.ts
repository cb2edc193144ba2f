import { type BerthError, describeFault } from "../../shared/errors.ts";

const cloned =
  "another process uses this host's key, so this one stops pushing; a state directory was copied with its host.key (a cloned machine?): stop one agent, remove host.key from its state directory and start it again";

/** What went wrong between this host and the registry, with what a person can do where only a person can. */
export function describeTrouble(error: BerthError, tokenFile: string): string {
  const fault = describeFault(error);
  switch (error.code) {
    case "superseded":
      return `${cloned}: ${fault}`;
    case "unknown-token":
    case "token-expired":
    case "token-revoked":
      return `${fault}; put a token the resolver's operator gave for this host into ${tokenFile}, which is read again at every request`;
    default:
      return fault;
  }
}
