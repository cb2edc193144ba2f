declare namespace Cloudflare {
  type WorkerEnv = import("../worker.ts").Env;
  interface Env extends WorkerEnv {}
}
