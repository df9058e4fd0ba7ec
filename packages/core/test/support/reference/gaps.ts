import ts from "typescript6";
import { paramsOf, tagsOf } from "./comments.js";
import { commentOf } from "./declarations.js";
import { isMethod, membersOf, nameOf, parametersOf, type Reference } from "./pages.js";

/** The missing parts of the doc comments of the exported symbols. */
export function gapsOf({ symbols, entries, reader }: Reference): string[] {
  const modules = entries
    .filter(({ source }) => reader.moduleComment(source) === undefined)
    .map(({ specifier }) => `${specifier}: no comment with @module at the top of its index.ts`);
  return [
    ...modules,
    ...symbols.flatMap(({ name, entry, declarations }) => {
      const [node] = declarations;
      if (node === undefined) return [];
      const place = `${entry.specifier} ${name}`;
      const comment = commentOf(node);
      const gaps: string[] = comment.text === "" ? [`${place}: no comment`] : [];
      if (ts.isFunctionDeclaration(node)) {
        const described = paramsOf(comment);
        for (const parameter of parametersOf(declarations))
          if (!described.get(parameter)) gaps.push(`${place}: no @param ${parameter}`);
        for (const parameter of described.keys())
          if (!parametersOf(declarations).includes(parameter))
            gaps.push(`${place}: no parameter ${parameter}`);
        if (returnsSomething(node) && tagsOf(comment, "returns").length === 0)
          gaps.push(`${place}: no @returns`);
        if (tagsOf(comment, "example").length === 0) gaps.push(`${place}: no @example`);
      }
      if (structural.has(name)) return gaps;
      for (const member of membersOf(node)) {
        const text = [commentOf(member).text, ...tagsOf(commentOf(member), "default")].join(" ").trim();
        if (text === "") gaps.push(`${place}.${nameOf(member)}: no comment`);
        else if (
          name.endsWith("Options") &&
          !isMethod(member) &&
          !/\bdefault\b/i.test(text) &&
          isOptional(member)
        )
          gaps.push(`${place}.${nameOf(member)}: no default`);
      }
      return gaps;
    }),
  ];
}

/** Shapes of objects of other packages: their members are documented there. */
const structural = new Set(["EventEmitterLike", "NodeReadable", "NodeWritable", "Rule"]);

const isOptional = (member: ts.Node): boolean => (member as ts.PropertySignature).questionToken !== undefined;

function returnsSomething(node: ts.FunctionDeclaration): boolean {
  const type = node.type?.getText() ?? "";
  return !/^(void|never|asserts\b.*|Promise<void>|void \| Promise<void>)$/.test(type);
}
