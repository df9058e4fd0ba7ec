/** A doc comment, taken apart. All texts are Markdown. */
export interface DocComment {
  /** Everything before the first tag. */
  readonly text: string;
  readonly tags: readonly DocTag[];
}

interface DocTag {
  /** Without the `@`. */
  readonly name: string;
  readonly text: string;
}

/** Takes a comment apart: `/** … *‍/`. A line that begins with `@word` begins a tag, unless it stands in a code block. */
export function parseComment(comment: string): DocComment {
  const lines = comment
    .replace(/^\/\*\*/, "")
    .replace(/\*\/$/, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd());
  const parts: { name: string; lines: string[] }[] = [{ name: "", lines: [] }];
  let inCode = false;
  for (const line of lines) {
    if (/^\s*```/.test(line)) inCode = !inCode;
    const [, name, rest] = (!inCode && /^\s*@(\w+)\s*(.*)$/.exec(line)) || [];
    if (name !== undefined) parts.push({ name, lines: [rest ?? ""] });
    else parts.at(-1)?.lines.push(line);
  }
  const [first, ...tags] = parts.map((part) => ({ name: part.name, text: part.lines.join("\n").trim() }));
  return { text: first?.text ?? "", tags };
}

/** The first sentence: what an editor shows, and a list of symbols. */
export function firstSentence(text: string): string {
  const paragraph =
    text
      .split(/\n\s*\n/)[0]
      ?.replaceAll(/\s+/g, " ")
      .trim() ?? "";
  return (/^.*?\.(?=\s+[A-Z`"[]|$)/.exec(paragraph)?.[0] ?? paragraph).replace(/:$/, ".");
}

/** The tags of that name. */
export function tagsOf(comment: DocComment, name: string): string[] {
  return comment.tags.filter((tag) => tag.name === name).map((tag) => tag.text);
}

/** A `@param`, by the name of the parameter, without the dash. */
export function paramsOf(comment: DocComment): Map<string, string> {
  return new Map(
    tagsOf(comment, "param").map((text) => {
      const [, name = "", rest = ""] = /^\[?(\w+)[^\s]*\s*(?:-\s*)?([^]*)$/.exec(text) ?? [];
      return [name, rest];
    }),
  );
}

/** A `@throws`: the types in braces, and when. */
export function throwsOf(comment: DocComment): { types: string[]; text: string }[] {
  return tagsOf(comment, "throws").map((tag) => {
    const [, types = "", text = ""] = /^(?:\{([^}]*)\})?\s*([^]*)$/.exec(tag) ?? [];
    return {
      types: types
        .split("|")
        .map((type) => type.trim())
        .filter((type) => type !== ""),
      text,
    };
  });
}
