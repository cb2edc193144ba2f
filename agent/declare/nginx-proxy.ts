import type { FamilyReading, FamilySubject, NamingFamily } from "./families.ts";
import { foreignNames } from "./foreign-name.ts";
import { portFrom, wordsOf } from "./label-values.ts";

const variables = ["VIRTUAL_HOST", "VIRTUAL_PORT", "VIRTUAL_HOST_MULTIPORTS"];

/** nginx-proxy's variables: VIRTUAL_HOST lists full names, VIRTUAL_PORT is the port that answers for them on 80. It has no labels for them. */
export const nginxProxy: NamingFamily = {
  family: "nginx-proxy",
  readsLabel: () => false,
  readsVariable: (key) => variables.includes(key),
  read,
};

function read({ container, zone }: FamilySubject): FamilyReading {
  const { VIRTUAL_HOST: hosts, VIRTUAL_PORT: port, VIRTUAL_HOST_MULTIPORTS: multiports } = container.env;
  const { names, notes } = foreignNames("VIRTUAL_HOST", wordsOf(hosts ?? ""), zone);
  if (multiports)
    notes.push("VIRTUAL_HOST_MULTIPORTS is not read; give the names in VIRTUAL_HOST or berth.name");
  const http = port ? portFrom(port) : undefined;
  if (port && http === undefined) notes.push(`VIRTUAL_PORT: ${port} is no container port`);
  return {
    ignored: undefined,
    names: names.map((name) => ({ name, ports: undefined, http })),
    checks: [],
    notes,
  };
}
