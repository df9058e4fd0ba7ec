import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** A test file, by its path from the root of the repository, and the numbers of the rules that its titles name. */
export interface NamingTest {
  readonly file: string;
  readonly rules: ReadonlySet<number>;
}

/** A place in the code or the documents that names a rule. */
export interface Mention {
  readonly place: string;
  readonly rule: number;
}

/** The section of one rule in `docs/rules.md`. */
export interface RuleSection {
  readonly rule: number;
  /** The test files that it links to, by their paths from the root. */
  readonly tests: readonly string[];
}

/** The files below `folders` whose name ends in one of `ends`, by their paths from `root`. */
export function filesBelow(root: string, folders: readonly string[], ends: readonly string[]): string[] {
  return folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((path) =>
        join(folder, path),
      ),
    )
    .filter((path) => !/(^|\/)(node_modules|dist|\.doc-code)\//.test(path))
    .filter((path) => ends.some((end) => path.endsWith(end)))
    .toSorted();
}

/** A title is a string that begins with `rule N`. */
export function namedByTitles(root: string, files: readonly string[]): NamingTest[] {
  return files.map((file) => {
    const text = readFileSync(join(root, file), "utf8");
    return {
      file,
      rules: new Set([...text.matchAll(/["'`]rule (\d+)\b/gi)].map((match) => Number(match[1]))),
    };
  });
}

/** Everything that `text` says about rules: `rule 4`, `rules 9 to 12`, `rules 1, 2 and 7`, `rules.md#rule-4`. */
export function mentionsIn(place: string, text: string): Mention[] {
  return [...text.matchAll(/\brules?[\s*/#-]+(\d+(?:(?:, | and | or | to |, and )\d+)*)/gi)].flatMap(
    (match) => {
      const line = text.slice(0, match.index).split("\n").length;
      return (match[1] ?? "")
        .split(/\D+/)
        .map((number) => ({ place: `${place}:${line}`, rule: Number(number) }));
    },
  );
}

/** The sections of `docs/rules.md`, in the order of the page. */
export function sectionsOf(text: string): RuleSection[] {
  return [...text.matchAll(/^### Rule (\d+)$(.*?)(?=^##|(?![^]))/gms)].map(([, number, body = ""]) => ({
    rule: Number(number),
    tests: [...body.matchAll(/\]\(\.\.\/([^)]+\.test\.ts)\)/g)].map((match) => match[1] ?? ""),
  }));
}

/** Returns the page with a link to every test file that names a rule, in the order that the page has, and to no other. */
export function repairLinks(text: string, tests: readonly NamingTest[]): string {
  return text.replaceAll(/^### Rule (\d+)$(.*?)(?=^##|(?![^]))/gms, (section: string, number: string) => {
    const naming = tests.filter(({ rules }) => rules.has(Number(number))).map(({ file }) => file);
    return section.replace(/^Tests: .*$/m, (line) => {
      const linked = [...line.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, path = ""]) => path);
      const paths = new Set([...linked.filter((path) => naming.includes(path)), ...naming]);
      return `Tests: ${[...paths].map((path) => `[${basename(path)}](../${path})`).join(", ")}`;
    });
  });
}
