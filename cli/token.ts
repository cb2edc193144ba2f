import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from "node:fs";
import { z } from "zod";

import { createToken, listTokens, revokeToken } from "../shared/admin-client.ts";
import { BerthError } from "../shared/errors.ts";
import {
  type CreatedToken,
  ownerSchema,
  type TokenKind,
  type TokenList,
  type TokenScope,
  type TokenView,
  tokenKinds,
  tokenScopeSchema,
} from "../shared/tokens.ts";
import {
  adminOptions,
  askResolver,
  jsonOption,
  note,
  printJson,
  printLines,
  readAdminConfig,
  writeOut,
} from "./admin.ts";
import type { Command, CommandGroup } from "./command.ts";
import { durationOption } from "./duration.ts";
import { parseArguments, parseFlags } from "./flags.ts";
import { minuteOf, tableLines } from "./table.ts";

const scopeFields = tokenScopeSchema.shape;

const createOptions = {
  kind: {
    schema: z.enum(tokenKinds, { error: `one of ${tokenKinds.join(", ")}` }) as z.ZodType<TokenKind>,
    value: "KIND",
    help: "agent (publishes a host), reader (looks names up) or admin (everything)",
  },
  owner: {
    schema: z.string({ error: "who it is for, such as team-a" }).pipe(ownerSchema) as z.ZodType<string>,
    value: "NAME",
    help: "who it is for; names are held for owners, so that an owner's next token goes on with them",
  },
  names: {
    schema: listOf(scopeFields.names),
    value: "PATTERN,...",
    help: "names an agent may declare, without the zone, such as '*.shop,web.blog' (every name)",
  },
  hosts: {
    schema: listOf(scopeFields.hosts),
    value: "HOST,...",
    help: "hosts an agent may speak for, by their own label or host id (every host)",
  },
  maxBindings: {
    schema: boundOf(scopeFields.maxBindings, "a whole number from 1 to 10000000"),
    value: "NUMBER",
    help: "bindings of all its hosts together (no bound)",
  },
  maxLease: {
    schema: boundOf(scopeFields.maxLease, "a whole number of seconds from 5 to 3600"),
    value: "SECONDS",
    help: "the longest lease an agent gets with it (the resolver's own bound)",
  },
  expires: {
    schema: durationOption("never"),
    value: "TIME",
    help: "from now: 90d, 12h, 30m, 3600 (seconds) or never (never)",
  },
  out: {
    schema: z.string().optional() as z.ZodType<string | undefined>,
    value: "FILE",
    help: "a new file for the token, for its owner's eyes only (stdout)",
  },
  ...adminOptions,
};

const createCommand: Command = {
  summary: "make a token, and print it: it is never shown again",
  options: createOptions,
  async run(argv) {
    const config = readAdminConfig(createOptions, parseFlags(createOptions, argv));
    const { kind, owner, names, hosts, maxBindings, maxLease, expires: expiresIn } = config;
    const wish = { kind, owner, scope: { names, hosts, maxBindings, maxLease }, expiresIn };
    // Opened before the token is made, so that a file that cannot be written costs no token.
    const out = config.out === undefined ? undefined : openNewFile(config.out);
    const created = await askResolver(config, (access) => createToken(access, wish)).catch((fault) => {
      out?.drop();
      throw fault;
    });
    const text = `${created.token}\n`;
    if (out === undefined) await writeOut(text);
    else out.finish(text);
    note(
      `${createdLine(created)}; ${out === undefined ? "it is shown only this once" : `it is in ${config.out}`}`,
    );
    return 0;
  },
};

const listOptions = { ...jsonOption, ...adminOptions };
const listCommand: Command = {
  summary: "list the tokens that were made, never their text",
  options: listOptions,
  async run(argv) {
    const config = readAdminConfig(listOptions, parseFlags(listOptions, argv));
    const list = await askResolver(config, listTokens);
    return config.json ? printJson(list) : printLines(tokenLines(list, Date.now()));
  },
};

const revokeCommand: Command = {
  summary: "end tokens, by the ids token list shows",
  operands: "ID [ID...]",
  options: adminOptions,
  async run(argv) {
    const wanted = { least: 1, most: 1000, what: "the ids of the tokens to revoke" };
    const { flags, operands } = parseArguments(adminOptions, argv, wanted);
    const config = readAdminConfig(adminOptions, flags);
    operands.forEach(refuseTokenText);
    let code = 0;
    for (const id of operands) {
      const isDone = await askResolver(config, (access) => revokeToken(access, id));
      note(
        isDone
          ? `${id} is revoked; ${afterRevoke}`
          : `there is no token with the id ${id}; berth token list shows them`,
      );
      if (!isDone) code = 1;
    }
    return code;
  },
};

const afterRevoke = "its names go with the lease; berth hosts withdraw HOST takes them out at once";

export const tokenCommands: CommandGroup = {
  summary: "make, list and revoke tokens",
  commands: { create: createCommand, list: listCommand, revoke: revokeCommand },
};

/** One line for whoever made the token, without the token. */
export function createdLine({ id, kind, owner, expiresAt }: CreatedToken): string {
  const end = expiresAt === null ? "until it is revoked" : `until ${minuteOf(expiresAt)}`;
  return `token ${id} for ${owner} (${kind}), valid ${end}`;
}

export function tokenLines({ tokens }: TokenList, now: number): string[] {
  if (tokens.length === 0)
    return ["no tokens were made; those in the resolver's state directory are not listed"];
  const rows = tokens.map((token) => [
    token.id,
    token.kind,
    token.owner,
    token.kind === "agent" ? scopeText(token.scope) : "",
    minuteOf(token.createdAt),
    endText(token, now),
  ]);
  return tableLines(["ID", "KIND", "OWNER", "SCOPE", "CREATED", "VALID"], rows);
}

function scopeText({ names, hosts, maxBindings, maxLease }: TokenScope): string {
  const parts = [
    names.length === 0 ? "" : `names ${names.join(",")}`,
    hosts.length === 0 ? "" : `hosts ${hosts.join(",")}`,
    maxBindings === null ? "" : `${maxBindings} bindings`,
    maxLease === null ? "" : `lease ${maxLease} s`,
  ].filter((part) => part !== "");
  return parts.length === 0 ? "everything" : parts.join("; ");
}

function endText({ revokedAt, expiresAt }: TokenView, now: number): string {
  if (revokedAt !== null) return `revoked ${minuteOf(revokedAt)}`;
  if (expiresAt === null) return "until revoked";
  return `${expiresAt <= now ? "expired" : "until"} ${minuteOf(expiresAt)}`;
}

/** A token in the place of its id would end up in this shell's history and in the resolver's log. */
function refuseTokenText(id: string): void {
  if (/^[a-z0-9-]{1,40}$/.test(id)) return;
  throw new BerthError(
    "bad-config",
    "give ids as token list shows them: up to 40 lower-case letters and digits",
  );
}

/** A list after commas, each part judged alone so that the fault names it. */
function listOf(schema: z.ZodType<string[]>): z.ZodType<string[]> {
  return z
    .string()
    .default("")
    .transform((text, context) => {
      const parts = text.split(",").flatMap((part) => part.trim() || []);
      const wrong = parts.find((part) => !schema.safeParse([part]).success);
      const parsed = schema.safeParse(parts);
      if (parsed.success) return parsed.data;
      const why = parsed.error.issues[0]?.message ?? "wrong";
      context.addIssue({
        code: "custom",
        message: wrong === undefined ? why : `"${wrong}" is not one: ${why}`,
      });
      return z.NEVER;
    }) as unknown as z.ZodType<string[]>;
}

function boundOf(schema: z.ZodType<number | null>, right: string): z.ZodType<number | null> {
  return z
    .string()
    .optional()
    .transform((text, context) => {
      const parsed = schema.safeParse(text === undefined ? null : Number(text));
      if (parsed.success) return parsed.data;
      context.addIssue({ code: "custom", message: `"${text}" is not ${right}` });
      return z.NEVER;
    }) as unknown as z.ZodType<number | null>;
}

function openNewFile(file: string) {
  let descriptor: number;
  try {
    descriptor = openSync(file, "wx", 0o600);
  } catch (cause) {
    const message = `cannot make ${file}; --out takes the name of a file that is not there yet`;
    throw new BerthError("bad-config", message, { who: file, cause });
  }
  return {
    finish(text: string): void {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
      closeSync(descriptor);
    },
    drop(): void {
      closeSync(descriptor);
      unlinkSync(file);
    },
  };
}
