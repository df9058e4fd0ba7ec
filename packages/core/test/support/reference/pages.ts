import { dirname } from "node:path";
import ts from "typescript6";
import type { EntryExports } from "../doc-code.js";
import { importsFor } from "../doc-code.js";
import { firstSentence, paramsOf, tagsOf, throwsOf, type DocComment } from "./comments.js";
import { commentOf, DeclarationReader, type Entry, type Exported } from "./declarations.js";

/** The command that makes the pages. */
export const UPDATE = "npx vitest run --project unit test/reference.test.ts -u";

export const GENERATED = `<!-- Made from the doc comments. To update it, run \`${UPDATE}\` in packages/core. -->`;

/** Where a symbol is documented: the page and the anchor. Several entries may have different symbols of one name. */
type Places = ReadonlyMap<string, readonly { readonly page: string; readonly anchor: string }[]>;

/** A symbol with the page that documents it. A symbol of several entries is on the page of the first. */
export interface DocumentedSymbol extends Exported {
  readonly entry: Entry;
  /** The other entries that export it. */
  readonly others: readonly Entry[];
}

/** Everything that the package exports. */
export interface Reference {
  readonly entries: readonly Entry[];
  readonly symbols: readonly DocumentedSymbol[];
  readonly places: Places;
  readonly reader: DeclarationReader;
  readonly exports: EntryExports;
}

export function readReference(entries: readonly Entry[], exports: EntryExports): Reference {
  const reader = new DeclarationReader();
  const symbols: (DocumentedSymbol & { others: Entry[] })[] = [];
  for (const entry of entries) {
    for (const exported of reader.exportsOf(entry.source)) {
      const known = symbols.find(({ declarations }) => declarations[0] === exported.declarations[0]);
      if (known) known.others.push(entry);
      else symbols.push({ ...exported, entry, others: [] });
    }
  }
  const places = new Map<string, { page: string; anchor: string }[]>();
  const add = (name: string, page: string, title: string): void => {
    places.set(name, [...(places.get(name) ?? []), { page, anchor: anchorOf(title) }]);
  };
  for (const { name, entry, declarations } of symbols) {
    if (name === "default") continue;
    add(name, entry.page, titleOf(name, declarations));
    for (const member of membersOf(declarations[0]))
      if (isMethod(member)) {
        add(`${name}.${nameOf(member)}`, entry.page, `${name}.${nameOf(member)}()`);
      }
  }
  return { entries, symbols, places, reader, exports };
}

/** The page of an entry. */
export function pageOf(reference: Reference, entry: Entry): string {
  const own = reference.symbols.filter((symbol) => symbol.entry === entry);
  const elsewhere = reference.symbols.filter((symbol) => symbol.others.includes(entry));
  const writer = new PageWriter(reference, entry);
  const comment = reference.reader.moduleComment(entry.source);
  const folder = dirname(entry.source);
  const additions = entry.page === "bough" ? [] : reference.reader.additionsBelow(folder);
  return [
    GENERATED,
    `# \`${entry.specifier}\``,
    comment ? writer.prose(comment.text) : "",
    own.length === 0 && elsewhere.length === 0 ? `\`\`\`ts\nimport "${entry.specifier}";\n\`\`\`` : "",
    ...groups.map(([title, kind]) =>
      writer.contents(
        title,
        own.filter((symbol) => kindOf(symbol) === kind),
      ),
    ),
    ...elsewhere.map(
      ({ name, entry: { specifier } }) =>
        `Also exports ${writer.link(name)}, which is the one of \`${specifier}\`.`,
    ),
    ...additions.map((addition) => writer.addition(addition)),
    ...groups
      .flatMap(([, kind]) => own.filter((symbol) => kindOf(symbol) === kind))
      .map((symbol) => writer.symbol(symbol)),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** The page that lists all symbols. */
export function indexOf(reference: Reference): string {
  const writer = new PageWriter(reference, undefined);
  const sections = reference.entries.map((entry) => {
    const own = reference.symbols.filter((symbol) => symbol.entry === entry);
    const comment = reference.reader.moduleComment(entry.source);
    return [
      `## [\`${entry.specifier}\`](${entry.page}.md)`,
      comment ? firstSentence(writer.prose(comment.text)) : "",
      writer.list(groups.flatMap(([, kind]) => own.filter((symbol) => kindOf(symbol) === kind))),
    ]
      .filter((part) => part !== "")
      .join("\n\n");
  });
  const more = `Made from the doc comments, which an editor shows too. See also:

- [error codes](errors.md): what raises each
- [kinds of cancellation](cancel-kinds.md): what raises each
- [the rules](../rules.md): how it all behaves together
- [the glossary](../glossary.md)`;
  return [GENERATED, "# Reference", more, ...sections].join("\n\n");
}

const groups = [
  ["Functions", "function"],
  ["Values", "value"],
  ["Classes", "class"],
  ["Types", "type"],
] as const;

type Kind = (typeof groups)[number][1];

function kindOf({ declarations: [node] }: Exported): Kind {
  if (node === undefined || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return "type";
  if (ts.isFunctionDeclaration(node)) return "function";
  return ts.isClassDeclaration(node) ? "class" : "value";
}

/** Writes Markdown whose links lead from the page of `entry`, or from another page of the folder. */
export class PageWriter {
  readonly #reference: Reference;
  readonly #entry: Entry | undefined;

  constructor(reference: Reference, entry: Entry | undefined) {
    this.#reference = reference;
    this.#entry = entry;
  }

  contents(title: string, symbols: readonly DocumentedSymbol[]): string {
    return symbols.length === 0 ? "" : `**${title}**\n\n${this.list(symbols)}`;
  }

  list(symbols: readonly DocumentedSymbol[]): string {
    const items = symbols.map(({ name, entry, declarations: [node] }) => {
      const sentence = node === undefined ? "" : firstSentence(this.prose(commentOf(node).text));
      return item(this.link(name, undefined, entry.page), sentence);
    });
    return items.join("\n");
  }

  symbol({ name, isDefault, declarations, others }: DocumentedSymbol): string {
    const [node] = declarations;
    if (node === undefined) return "";
    const members = membersOf(node);
    const comment = commentOf(node);
    const also = others.map(({ specifier }) => `\`${specifier}\``).join(", ");
    return [
      `## ${titleOf(name, declarations)}`,
      isDefault && name !== "default" ? "It is also the default export." : "",
      also === "" ? "" : `Also exported by ${also}.`,
      signature(declarations),
      this.#uses(name, declarations),
      this.#comment(comment, parametersOf(declarations), this.#properties(members)),
      ...members.filter(isMethod).map((member) => this.#method(name, member)),
    ]
      .filter((part) => part !== "")
      .join("\n\n");
  }

  /** The additions of the entry to the types of another package. */
  addition(module: ts.ModuleDeclaration): string {
    const body = module.body;
    if (body === undefined || !ts.isModuleBlock(body)) return "";
    const interfaces = body.statements.flatMap(function find(statement): ts.InterfaceDeclaration[] {
      if (ts.isInterfaceDeclaration(statement)) return [statement];
      const inner = ts.isModuleDeclaration(statement) ? statement.body : undefined;
      return inner && ts.isModuleBlock(inner) ? inner.statements.flatMap(find) : [];
    });
    const items = interfaces.flatMap((declared) =>
      declared.members.map((member) => {
        const name = `${declared.name.text}.${nameOf(member)}`;
        return item(`\`${name}: ${typeOf(member)}\``, this.prose(commentOf(member).text));
      }),
    );
    const target = ts.isStringLiteral(module.name) ? `\`${module.name.text}\`` : "the global types";
    return `**Added to ${target}**\n\n${items.join("\n")}`;
  }

  /** Markdown with the links of a doc comment. */
  prose(text: string): string {
    return text
      .replaceAll(/\{@link\s+([^}|\s]+)(?:\s*\|?\s*([^}]*))?\}/g, (_, target: string, label: string) =>
        this.link(target, label === "" ? undefined : label),
      )
      .replaceAll(
        /`?\bdocs\/([\w/-]+\.md)(#[\w-]+)?`?/g,
        (_, path: string, anchor = "") => `[${path}](../${path}${anchor})`,
      );
  }

  /** A link to a symbol, or its name if it is not one of bough's. */
  link(name: string, label = `\`${name}\``, from = this.#entry?.page): string {
    const places = this.#reference.places.get(name) ?? [];
    const place = places.find(({ page }) => page === from) ?? places[0];
    if (place === undefined) return label;
    const page = place.page === this.#entry?.page ? "" : `${place.page}.md`;
    return `[${label}](${page}#${place.anchor})`;
  }

  /** Text in which the names of symbols in backticks are links. */
  linked(text: string): string {
    return this.prose(text).replaceAll(/(?<!\[)`([\w.]+)(?:\(\))?`/g, (code: string, name: string) =>
      this.link(name, code),
    );
  }

  #comment(comment: DocComment, parameters: readonly string[], properties = ""): string {
    const described = paramsOf(comment);
    const throws = throwsOf(comment).map(({ types, text }) => {
      const names = types.map((type) => this.link(type)).join(" or ");
      return `- ${[names, this.prose(text)].filter((part) => part !== "").join(": ")}`;
    });
    const returns = tagsOf(comment, "returns").map((text) => this.prose(text));
    const items = parameters
      .filter((name) => described.has(name))
      .map((name) => item(`\`${name}\``, this.prose(described.get(name) ?? "")));
    return [
      this.prose(comment.text),
      items.length === 0 ? "" : `**Parameters**\n\n${items.join("\n")}`,
      properties,
      ...tagsOf(comment, "default").map((text) => `**Default:** ${this.prose(text)}`),
      returns.length === 0 ? "" : `**Returns:** ${returns.join("\n")}`,
      throws.length === 0 ? "" : `**Throws**\n\n${throws.join("\n")}`,
      ...tagsOf(comment, "example").map((text) => this.#example(text)),
    ]
      .filter((part) => part !== "")
      .join("\n\n");
  }

  #example(text: string): string {
    const [, title = "", code = ""] = /^([^`\n]*(?:`[^`\n]+`[^`\n]*)*)\n?([^]*)$/.exec(text) ?? [];
    const heading = title.trim() === "" ? "**Example**" : `**Example:** ${title.trim()}`;
    const complete = code.replace(/^```ts\b[^\n]*\n([^]*?)^```$/m, (_, body: string) => {
      const imports = /^\s*import\b/m.test(body) ? "" : importsFor(body, this.#reference.exports);
      return `\`\`\`ts\n${imports === "" ? "" : `${imports}\n\n`}${body}\`\`\``;
    });
    return `${heading}\n\n${complete.trim()}`;
  }

  #properties(members: readonly ts.Node[], prefix = ""): string {
    const items = members
      .filter((member) => !isMethod(member))
      .flatMap((member): string[] => {
        const { text, tags } = commentOf(member);
        const byDefault = tags.filter((tag) => tag.name === "default").map((tag) => `Default: ${tag.text}`);
        const name = `${prefix}${nameOf(member)}`;
        const described = [text, ...byDefault].join(" ").trim();
        const own = described === "" ? [] : [item(`\`${name}\``, this.prose(described))];
        const { type } = member as ts.PropertySignature;
        const inner = type && ts.isTypeLiteralNode(type) ? this.#properties(type.members, `${name}.`) : "";
        return inner === "" ? own : [...own, inner];
      });
    return items.length === 0 || prefix !== "" ? items.join("\n") : `**Properties**\n\n${items.join("\n")}`;
  }

  #method(owner: string, member: ts.Node): string {
    const parameters = ts.isFunctionLike(member) ? member.parameters.map(({ name }) => name.getText()) : [];
    const comment = this.#comment(commentOf(member), parameters);
    return [
      `### ${codeOf(`${owner}.${nameOf(member)}()`)}`,
      fence(textOf(member).replaceAll(/\s+/g, " ")),
      comment,
    ]
      .filter((part) => part !== "")
      .join("\n\n");
  }

  /** Links to the symbols of bough that a signature names. */
  #uses(name: string, declarations: readonly ts.Declaration[]): string {
    const names = new Set<string>();
    for (const node of declarations) collectNames(node, names);
    names.delete(name);
    const known = [...names].filter((used) => this.#reference.places.has(used)).toSorted();
    return known.length === 0 ? "" : `Types: ${known.map((used) => this.link(used)).join(", ")}`;
  }
}

/** The names of types in a declaration, the types of its members included, but not in its comment. */
function collectNames(node: ts.Node, names: Set<string>): void {
  if (ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName)) names.add(node.typeName.text);
  if (ts.isExpressionWithTypeArguments(node) && ts.isIdentifier(node.expression))
    names.add(node.expression.text);
  ts.forEachChild(node, (child) => collectNames(child, names));
}

/** The members that a user sees. */
export function membersOf(node: ts.Node | undefined): readonly ts.Node[] {
  if (node === undefined) return [];
  if (ts.isTypeAliasDeclaration(node)) return ts.isTypeLiteralNode(node.type) ? node.type.members : [];
  if (!ts.isInterfaceDeclaration(node) && !ts.isClassDeclaration(node)) return [];
  const members: readonly ts.Node[] = [...node.members];
  return members.filter((member) => {
    const modifiers = ts.canHaveModifiers(member) ? (ts.getModifiers(member) ?? []) : [];
    const isHidden = modifiers.some(
      ({ kind }) => kind === ts.SyntaxKind.PrivateKeyword || kind === ts.SyntaxKind.ProtectedKeyword,
    );
    const name = nameOf(member);
    if (isHidden || name.startsWith("#")) return false;
    return (ts.isClassElement(member) || ts.isTypeElement(member)) && member.name !== undefined;
  });
}

export function isMethod(member: ts.Node): boolean {
  return ts.isMethodSignature(member) || ts.isMethodDeclaration(member);
}

export function nameOf(member: ts.Node): string {
  return (member as ts.NamedDeclaration).name?.getText() ?? "";
}

export function parametersOf(declarations: readonly ts.Declaration[]): string[] {
  return declarations
    .flatMap((node) => (ts.isFunctionLike(node) ? node.parameters.map(({ name }) => name.getText()) : []))
    .filter((name, index, all) => all.indexOf(name) === index);
}

function titleOf(name: string, [node]: readonly ts.Declaration[]): string {
  return codeOf(node !== undefined && ts.isFunctionDeclaration(node) ? `${name}()` : name);
}

/** A symbol as it is declared, without bodies, comments and private members. */
function signature(declarations: readonly ts.Declaration[]): string {
  return fence(
    declarations
      .map((node) => {
        if (ts.isClassDeclaration(node)) return classOf(node);
        return textOf(ts.isVariableDeclaration(node) ? node.parent.parent : node);
      })
      .join("\n"),
  );
}

/** A class without its private members. */
function classOf(node: ts.ClassDeclaration): string {
  const parameters = node.typeParameters
    ? `<${node.typeParameters.map((each) => each.getText()).join(", ")}>`
    : "";
  const heritage = (node.heritageClauses ?? []).map((clause) => ` ${clause.getText()}`).join("");
  const constructors = node.members.filter((member) => ts.isConstructorDeclaration(member));
  const members = [...constructors, ...membersOf(node)].map((member) => `  ${textOf(member)}`);
  return `class ${node.name?.text ?? ""}${parameters}${heritage} {\n${members.join("\n")}\n}`;
}

/** The type of a property, in one line. */
function typeOf(member: ts.Node): string {
  const text = (member as ts.PropertySignature).type?.getText() ?? "unknown";
  return text.replaceAll(/\s+/g, " ").replace(/ \| undefined$/, "");
}

function textOf(node: ts.Node): string {
  const text = node.getText();
  return text
    .replaceAll(/\/\*\*(?:(?!\*\/)[^])*\*\/\s*/g, "")
    .replace(/^(?:export )?(?:declare )?(?:default )?/, "")
    .trim();
}

const fence = (code: string): string => `\`\`\`ts\n${code}\n\`\`\``;
const codeOf = (text: string): string => `\`${text}\``;

/** An item of a list: a name, and what is said about it, which may have several paragraphs. */
function item(name: string, text: string): string {
  const [first = "", ...more] = text.split("\n");
  const rest = more.map((line) => (line === "" ? "" : `  ${line}`));
  return [first === "" ? `- ${name}` : `- ${name}: ${first}`, ...rest].join("\n");
}

/** GitHub's anchor of a heading. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
}
