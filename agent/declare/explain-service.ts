import { formatEndpoint } from "../../shared/address.ts";
import { displayName, type Name } from "../../shared/name.ts";
import type { DeclaredService, DeclareInput, WantedCheck } from "./input.ts";
import { checksOfService } from "./services.ts";

/** The services declared in files that are called that, by entry or by name. */
export function servicesCalled(
  { services }: DeclareInput,
  what: string,
  name: Name | undefined,
): DeclaredService[] {
  return services.filter(
    (service) => service.id === what || (name !== undefined && service.names.includes(name)),
  );
}

/** What a file declares, and where its check lets it be seen. */
export function explainService(service: DeclaredService, { site, checks }: DeclareInput): string[] {
  const { id, names, protocol, servicePort, port, check } = service;
  const addresses = service.addresses ?? site.addresses;
  const where = addresses.map((address) => formatEndpoint({ address, port })).join(", ");
  return [
    `service ${id}, declared in a file`,
    ...names.map((name) => `  name ${displayName(name)}`),
    `  port ${servicePort}/${protocol} leads to ${where}`,
    ...(check === undefined ? ["  no check: declared as long as its file says so"] : []),
    ...checksOfService(service, site).map((wanted) => checkLine(wanted, checks.get(wanted.key))),
  ];
}

function checkLine(check: WantedCheck, state: string | undefined): string {
  const how = check.httpPath === undefined ? "TCP connect to" : `GET ${check.httpPath} from`;
  const hidden = state === "healthy" ? "" : ", so it is not declared there";
  return `  check, ${how} ${formatEndpoint(check)} every ${check.intervalMs / 1000} s: ${state ?? "not made yet"}${hidden}`;
}
