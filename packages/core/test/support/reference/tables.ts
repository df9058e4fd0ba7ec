import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript6";
import { parseComment } from "./comments.js";
import { GENERATED, PageWriter, type Reference } from "./pages.js";

/** A member of a union of string literals. */
export interface UnionMember {
  readonly value: string;
  /** Its doc comment. */
  readonly text: string;
  /** The last comment `// …` above it. */
  readonly group: string;
}

/** The members of `type name = "a" | "b"` in a source file, with their comments. */
function readUnion(source: string, name: string): UnionMember[] {
  const file = ts.createSourceFile(source, readFileSync(source, "utf8"), ts.ScriptTarget.ES2022, true);
  const alias = file.statements.find(
    (statement) => ts.isTypeAliasDeclaration(statement) && statement.name.text === name,
  ) as ts.TypeAliasDeclaration;
  const members = ts.isUnionTypeNode(alias.type) ? alias.type.types : [alias.type];
  let end = alias.type.getFullStart();
  let group = "";
  return members.map((member) => {
    const before = file.text.slice(end, member.getStart());
    end = member.end;
    group = [...before.matchAll(/^\s*\/\/ (.*)$/gm)].at(-1)?.[1] ?? group;
    const comment = [...before.matchAll(/\/\*\*(?:(?!\*\/)[^])*\*\//g)].at(-1)?.[0] ?? "/** */";
    return { value: member.getText().slice(1, -1), text: parseComment(comment).text, group };
  });
}

export const codesOf = (core: string, name: "BoughErrorCode" | "BoughWarningCode"): UnionMember[] =>
  readUnion(join(core, "src/errors/codes.ts"), name);

export const kindsOf = (core: string): UnionMember[] =>
  readUnion(join(core, "src/errors/cancelled.ts"), "CancelKind");

/** `docs/reference/errors.md`. */
export function errorsPage(reference: Reference, core: string): string {
  const writer = new PageWriter(reference, undefined);
  const errors = codesOf(core, "BoughErrorCode");
  const groups = [...new Set(errors.map(({ group }) => group))];
  const tableOf = (members: readonly UnionMember[]): string =>
    [
      "| code | raised when |",
      "| --- | --- |",
      ...members.map(({ value, text }) => `| \`${value}\` | ${oneLine(writer.linked(text))} |`),
    ].join("\n");
  return [
    GENERATED,
    "# Error codes",
    `Every error that bough makes is a ${writer.link("BoughError")} with a \`code\`. A code is stable, and its message is not.
A bad argument is a \`TypeError\` or a \`RangeError\`, which has no code. An error of yours is passed on as it is.
[The kinds of cancellation](cancel-kinds.md) have a page of their own.`,
    ...groups.flatMap((group) => [`## ${group}`, tableOf(errors.filter((member) => member.group === group))]),
    "## Warnings",
    "Warnings are emitted on `process` with these codes, and printed on stderr unless Node is told otherwise.",
    tableOf(codesOf(core, "BoughWarningCode")),
  ].join("\n\n");
}

/** `docs/reference/cancel-kinds.md`. */
export function kindsPage(reference: Reference, core: string): string {
  const writer = new PageWriter(reference, undefined);
  const kinds = kindsOf(core);
  return [
    GENERATED,
    "# Kinds of cancellation",
    `\`reason.kind\` says why a scope was cancelled, and \`reason.cause\` has the details. The reason is a
${writer.link("CancelledError")}: \`scope.reason\`, \`scope.signal.reason\`, and what waits in the scope rejects with.
All scopes that one call has cancelled have the same reason.`,
    ...kinds.flatMap(({ value, text }) => [`## \`"${value}"\``, writer.linked(text)]),
  ].join("\n\n");
}

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, " ").replaceAll("|", "\\|");
