import type { Site } from "../site.ts";
import { type DeclareRules, families } from "./input.ts";
import { defaultTemplate, parseNameTemplate } from "./name-template.ts";

/** The rules of an agent that was told nothing but its zone and its label. */
export function defaultRules({ zone, hostLabel }: Pick<Site, "zone" | "hostLabel">): DeclareRules {
  return {
    zone,
    hostLabel,
    families: new Set(families),
    template: parseNameTemplate(defaultTemplate),
    publishUnpublished: false,
    mayRelay: true,
    only: [],
    except: [],
  };
}
