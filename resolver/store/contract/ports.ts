import { describe, expect, test } from "vitest";

import { createLog } from "../../../shared/log.ts";
import { portListSchema } from "../../../shared/registry-views.ts";
import { openListRoutes } from "../../routes/open-lists.ts";
import type { BindingStore } from "../../store.ts";
import { binding, TestHost, zone } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** The ports of a name, as GET /v1/names/NAME tells them. */
export function describePorts(makeStore: MakeStore): void {
  describe("the ports of a name", () => {
    test("are those with an SRV answer, of all hosts, with the one that stands in for 80", async () => {
      const { store } = await makeStore();
      await new TestHost("a", "nas").push(store, [binding("web", { servicePort: 3000 })]);
      expect(await portsOf(store, "web")).toBe("80/tcp 3000/tcp");
      const at = ["10.0.0.6"];
      await new TestHost("b", "pi", at).push(store, [
        binding("web", { servicePort: 53, protocol: "udp", at }),
        binding("web", { servicePort: 443, at }),
      ]);
      expect(await portsOf(store, "web")).toBe("443/tcp 3000/tcp 53/udp");
    });

    test("leave out what is hidden, and are none when all is", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      const admin = binding("web", { servicePort: 9000, health: "starting" });
      await nas.push(store, [binding("web"), admin]);
      expect(await portsOf(store, "web")).toBe("80/tcp");
      await nas.push(store, [admin]);
      expect(await portsOf(store, "web")).toBe("unknown-name");
      await nas.push(store, [{ ...admin, health: "healthy" }]);
      expect(await portsOf(store, "web")).toBe("80/tcp 9000/tcp");
    });

    test("go with the lease, and at once when they are withdrawn", async () => {
      const { store, advance } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")]);
      await nas.withdraw(store);
      expect(await portsOf(store, "web")).toBe("unknown-name");
      await new TestHost("b", "pi", ["10.0.0.6"]).push(store, [binding("web", { at: ["10.0.0.6"] })]);
      expect(await portsOf(store, "web")).toBe("80/tcp");
      await advance(15_000);
      expect(await portsOf(store, "web")).toBe("unknown-name");
    });
  });
}

/** The ports, or the code of the fault. */
async function portsOf(store: BindingStore, label: string): Promise<string> {
  const routes = openListRoutes({
    apex: { zone, nameServers: [], nameServerAddresses: [], ttl: 5, negativeTtl: 1 },
    zone: store,
    tokens: { check: () => Promise.reject(new Error("nobody needs a token here")) },
    log: createLog("resolver", "error", () => undefined),
  });
  let code = "";
  routes.onError((fault, context) => {
    code = "code" in fault ? String(fault.code) : fault.message;
    return context.json({}, 404);
  });
  const response = await routes.request(`/v1/names/${label}.${zone}`);
  if (code !== "") return code;
  const { ports } = portListSchema.parse(await response.json());
  return ports.map(({ protocol, servicePort }) => `${servicePort}/${protocol}`).join(" ");
}
