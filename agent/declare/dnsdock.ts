import type { FamilyName, FamilyReading, FamilySubject, NamingFamily } from "./families.ts";
import { foreignNames, relativeName } from "./foreign-name.ts";
import { baseNameOfImage } from "./image-name.ts";
import { wordsOf } from "./label-values.ts";

/** What dnsdock and dns-proxy-server read that gives names: `label` in labels, `variable` in the environment. */
const keys = {
  ignore: { label: "com.dnsdock.ignore", variable: "DNSDOCK_IGNORE" },
  alias: { label: "com.dnsdock.alias", variable: "DNSDOCK_ALIAS" },
  name: { label: "com.dnsdock.name", variable: "DNSDOCK_NAME" },
  image: { label: "com.dnsdock.image", variable: "DNSDOCK_IMAGE" },
};
const entries = Object.values(keys);

/** dnsdock's labels and variables, and dns-proxy-server's HOSTNAMES. dnsdock calls a container <name>.<image>, either of them as told. */
export const dnsdock: NamingFamily = {
  family: "dnsdock",
  readsLabel: (key) => entries.some(({ label }) => label === key),
  readsVariable: (key) => key === "HOSTNAMES" || entries.some(({ variable }) => variable === key),
  read,
};

function read(subject: FamilySubject): FamilyReading {
  const { container, zone } = subject;
  const told = (key: keyof typeof keys): { from: string; text: string } | undefined => {
    const { label, variable } = keys[key];
    if (Object.hasOwn(container.labels, label)) return { from: label, text: container.labels[label] ?? "" };
    const text = container.env[variable];
    return text === undefined ? undefined : { from: variable, text };
  };
  const ignore = told("ignore");
  // Being there is enough, whatever it says: so dnsdock reads it.
  if (ignore !== undefined) return { ...nothing, ignored: `${ignore.from} is set` };
  const alias = told("alias");
  const aliases = foreignNames(alias?.from ?? "", wordsOf(alias?.text ?? ""), zone);
  const hostnames = foreignNames("HOSTNAMES", wordsOf(container.env.HOSTNAMES ?? ""), zone);
  const own = ownName(subject, told("name")?.text, told("image")?.text);
  const names = new Set([...aliases.names, ...hostnames.names, ...own.names]);
  const notes = [...aliases.notes, ...hostnames.notes, ...own.notes];
  return {
    ...nothing,
    names: [...names].map((name): FamilyName => ({ name, ports: undefined, http: undefined })),
    notes,
  };
}

const nothing: FamilyReading = { ignored: undefined, names: [], checks: [], notes: [] };

function ownName(
  { container, zone }: FamilySubject,
  name: string | undefined,
  image: string | undefined,
): Pick<FamilyReading, "notes"> & { names: FamilyName["name"][] } {
  if (!name && !image) return { names: [], notes: [] };
  const text = `${name || container.name}.${image || baseNameOfImage(container.image)}`;
  const found = relativeName(text, zone);
  if (found.name !== undefined) return { names: [found.name], notes: [] };
  return { names: [], notes: [`com.dnsdock.name: ${text} ${found.note}`] };
}
