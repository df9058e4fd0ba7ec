import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ts from "typescript6";
import { parseComment, type DocComment } from "./comments.js";

/** A public entry of the package: `bough/http`. */
export interface Entry {
  readonly specifier: string;
  /** The name of its page, without the extension: `http`. */
  readonly page: string;
  /** Its source file. */
  readonly source: string;
}

/** An export of an entry: all overloads of a function, or one declaration. */
export interface Exported {
  readonly name: string;
  readonly isDefault: boolean;
  readonly declarations: readonly ts.Declaration[];
}

/** The entries in the order of `exports` in package.json. */
export function readEntries(core: string): Entry[] {
  const manifest = JSON.parse(readFileSync(join(core, "package.json"), "utf8")) as {
    exports: Record<string, string | { types: string }>;
  };
  return Object.entries(manifest.exports).flatMap(([path, target]) => {
    if (typeof target === "string") return [];
    const specifier = path === "." ? "bough" : `bough/${path.slice(2)}`;
    const page = path === "." ? "bough" : path.slice(2).replaceAll("/", "-");
    const source = join(core, target.types.replace(/^\.\/dist\//, "src/").replace(/\.d\.ts$/, ".ts"));
    return [{ specifier, page, source }];
  });
}

/**
 * Reads the declarations of source files, as the compiler would write them into `.d.ts` files: no bodies, nothing private.
 * `isolatedDeclarations` makes that possible file by file, without types of other files.
 */
export class DeclarationReader {
  readonly #files = new Map<string, ts.SourceFile>();

  /** The exports of an entry, sorted by name. */
  exportsOf(source: string): Exported[] {
    const found = new Map<string, readonly ts.Declaration[]>();
    const names = this.#namesOf(source).toSorted();
    for (const name of names) found.set(name, this.resolve(source, name));
    const named = [...found].filter(([name]) => name !== "default");
    const byDefault = found.get("default");
    const alias = named.find(([, declarations]) => declarations[0] === byDefault?.[0]);
    const all = named.map(([name, declarations]) => ({ name, declarations, isDefault: name === alias?.[0] }));
    if (byDefault !== undefined && alias === undefined)
      all.push({ name: "default", declarations: byDefault, isDefault: true });
    return all;
  }

  /** The doc comment of the module: a comment with `@module` at its top. */
  moduleComment(source: string): DocComment | undefined {
    const comment = /^\s*(\/\*\*(?:(?!\*\/)[^])*@module(?:(?!\*\/)[^])*\*\/)/.exec(
      readFileSync(source, "utf8"),
    )?.[1];
    return comment === undefined ? undefined : parseComment(comment);
  }

  /** The declarations behind `name`, which `source` exports. */
  resolve(source: string, name: string): readonly ts.Declaration[] {
    const file = this.#declarationsOf(source);
    for (const statement of file.statements) {
      if (
        ts.isExportDeclaration(statement) &&
        statement.exportClause &&
        ts.isNamedExports(statement.exportClause)
      ) {
        const specifier = statement.exportClause.elements.find((element) => element.name.text === name);
        if (specifier === undefined) continue;
        const local = (specifier.propertyName ?? specifier.name).text;
        const from = statement.moduleSpecifier;
        if (from !== undefined) return this.resolve(resolveModule(source, from), local);
        return this.#local(source, file, local);
      }
      if (name === "default" && ts.isExportAssignment(statement) && ts.isIdentifier(statement.expression))
        return this.#local(source, file, statement.expression.text);
    }
    return this.#local(source, file, name);
  }

  /** The additions to types of other packages, by the files below `folder` that were read so far. */
  additionsBelow(folder: string): ts.ModuleDeclaration[] {
    return [...this.#files]
      .filter(([source]) => source.startsWith(`${folder}/`))
      .flatMap(([, file]) => file.statements.filter((statement) => ts.isModuleDeclaration(statement)));
  }

  #namesOf(source: string): string[] {
    return this.#declarationsOf(source).statements.flatMap((statement) => {
      if (ts.isExportAssignment(statement)) return ["default"];
      if (ts.isExportDeclaration(statement)) {
        const { exportClause } = statement;
        return exportClause && ts.isNamedExports(exportClause)
          ? exportClause.elements.map((element) => element.name.text)
          : [];
      }
      return isExported(statement) ? declaredBy(statement).map(({ name }) => name) : [];
    });
  }

  /** The declarations of `name` in a file, or in the one that it imports it from. */
  #local(source: string, file: ts.SourceFile, name: string): readonly ts.Declaration[] {
    const found = file.statements.flatMap((statement) =>
      declaredBy(statement).filter((declared) => declared.name === name),
    );
    if (found.length > 0) return found.map(({ declaration }) => declaration);
    for (const statement of file.statements) {
      if (!ts.isImportDeclaration(statement)) continue;
      const bindings = statement.importClause?.namedBindings;
      if (bindings === undefined || !ts.isNamedImports(bindings)) continue;
      const specifier = bindings.elements.find((element) => element.name.text === name);
      if (specifier === undefined) continue;
      const local = (specifier.propertyName ?? specifier.name).text;
      return this.resolve(resolveModule(source, statement.moduleSpecifier), local);
    }
    throw new Error(`${source}: no declaration of ${name}`);
  }

  #declarationsOf(source: string): ts.SourceFile {
    let file = this.#files.get(source);
    if (file === undefined) {
      const { outputText } = ts.transpileDeclaration(readFileSync(source, "utf8"), {
        fileName: source,
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext },
      });
      file = ts.createSourceFile(source, outputText, ts.ScriptTarget.ES2022, true);
      this.#files.set(source, file);
    }
    return file;
  }
}

function resolveModule(source: string, specifier: ts.Expression): string {
  const path = join(dirname(source), (specifier as ts.StringLiteral).text.replace(/\.js$/, ".ts"));
  if (!existsSync(path)) throw new Error(`${source}: ${path} does not exist`);
  return path;
}

function isExported(statement: ts.Statement): boolean {
  return (
    ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false)
  );
}

function declaredBy(statement: ts.Statement): { name: string; declaration: ts.Declaration }[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map((declaration) => ({
      name: declaration.name.getText(),
      declaration,
    }));
  const isNamed =
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement);
  return isNamed && statement.name ? [{ name: statement.name.text, declaration: statement }] : [];
}

/** The doc comment of a declaration: the last one before it. */
export function commentOf(node: ts.Node): DocComment {
  const owner = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  const comments = (owner as { jsDoc?: readonly ts.JSDoc[] }).jsDoc ?? [];
  return parseComment(comments.at(-1)?.getText() ?? "/** */");
}
