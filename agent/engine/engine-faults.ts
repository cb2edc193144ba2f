import { BerthError } from "../../shared/errors.ts";
import type { EngineTarget } from "./target.ts";

/** What a call to an engine ended with, in berth's words: who, and what a person can do about it. */
export function engineFault(target: EngineTarget, cause: unknown): BerthError {
  if (cause instanceof BerthError) return cause;
  const who = target.where;
  if (statusOf(cause) !== undefined) {
    return new BerthError("engine-fault", `the engine at ${who} refused`, { who, retryable: true, cause });
  }
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const gone = code === "ENOENT" || code === "ECONNREFUSED";
  const message = `no engine at ${who}: ${mendOf(target, code)}`;
  return new BerthError("engine-unreachable", message, { who, retryable: true, facts: { gone }, cause });
}

export function silentEngine({ where }: EngineTarget, limitMs: number): BerthError {
  const message = `the engine at ${where} did not answer within ${limitMs / 1000} s; it may hang (systemctl status docker)`;
  const facts = { gone: false };
  return new BerthError("engine-unreachable", message, { who: where, retryable: true, facts });
}

export function brokenStream({ where }: EngineTarget, cause: unknown): BerthError {
  const message = `the engine at ${where} ended its event stream; is the engine running (systemctl status docker)?`;
  const facts = { gone: true };
  return new BerthError("engine-unreachable", message, { who: where, retryable: true, facts, cause });
}

/** The status of an answer that says no. */
export function statusOf(cause: unknown): number | undefined {
  const status = cause instanceof Error && "statusCode" in cause ? cause.statusCode : undefined;
  return typeof status === "number" ? status : undefined;
}

function mendOf(target: EngineTarget, code: string): string {
  if (target.kind === "unix") return mendOfSocket(code);
  if (/CERT|SSL|TLS|SIGNATURE/.test(code))
    return "one side does not trust the other's certificate; check ca.pem, cert.pem and key.pem in the folder that tls names";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return "its host has no address; check --engine and this machine's DNS";
  if (target.kind === "ssh")
    return `try ssh ${target.user === undefined ? "" : `${target.user}@`}${target.host} docker version as the agent's user`;
  return "nothing answers there; is the engine running, and does it listen there?";
}

function mendOfSocket(code: string): string {
  if (code === "EACCES" || code === "EPERM")
    return "this user may not use the socket; add the user to its group (docker)";
  if (code === "ENOENT")
    return "there is no such socket; start the engine (systemctl start docker) or name its socket with --engine";
  return "nothing answers there; is the engine running (systemctl status docker)?";
}
