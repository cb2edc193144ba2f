declare namespace Cloudflare {
  type WorkerEnv = import("./worker.ts").Env;
  interface Env extends WorkerEnv {}
  interface GlobalProps {
    mainModule: typeof import("./worker.ts");
  }
}
