// A Worker entry around the bundled one, run by workerd as it stands: Workers KV as a reader far from the writer can
// find it. What get() once returned, absence too, it returns for a minute, whatever was written meanwhile.
import worker from "./worker.js";

export { RegistryObject } from "./worker.js";

const keptMs = 60_000;

/** One for all requests: the Worker builds its app anew for another env. */
let aged;

export default {
  fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    // For the test to see what was written, which no reader of the copy has to see yet.
    if (pathname.startsWith("/written/")) return written(env.ZONE, pathname.slice("/written/".length));
    aged ??= { ...env, ZONE: ageing(env.ZONE) };
    return worker.fetch(request, aged, context);
  },
};

async function written(copy, owner) {
  const text = await copy.get(owner);
  return new Response(text, { status: text === null ? 404 : 200 });
}

function ageing(copy) {
  const seen = new Map();
  return {
    async get(owner) {
      const kept = seen.get(owner);
      if (kept !== undefined && Date.now() - kept.at < keptMs) return kept.text;
      const text = await copy.get(owner);
      seen.set(owner, { text, at: Date.now() });
      return text;
    },
  };
}
