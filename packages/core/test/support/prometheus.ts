export interface Metric {
  readonly type: string;
  readonly samples: Map<string, number>;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"`;
const VALUE = String.raw`-?\d+(?:\.\d+)?(?:e[+-]\d+)?|[+-]Inf|NaN`;

const helpLine = new RegExp(`^# HELP (${NAME}) \\S.*$`);
const typeLine = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`);
const sampleLine = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? (${VALUE})$`);

/**
 * Reads the text format 0.0.4, https://prometheus.io/docs/instrumenting/exposition_formats.
 *
 * @throws {Error} Names the first line that the format does not allow.
 */
export function parsePrometheus(text: string): Map<string, Metric> {
  const metrics = new Map<string, Metric>();
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  let current = "";
  let helped = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const refuse = (why: string): Error => new Error(`${why}: ${line}`);
    const [, help] = helpLine.exec(line) ?? [];
    if (help !== undefined) {
      if (metrics.has(help)) throw refuse("described twice");
      helped = help;
      continue;
    }
    const [, typed, type] = typeLine.exec(line) ?? [];
    if (typed !== undefined && type !== undefined) {
      if (typed !== helped) throw refuse("typed without a description");
      current = typed;
      metrics.set(current, { type, samples: new Map() });
      continue;
    }
    const [, name, labels = "", value] = sampleLine.exec(line) ?? [];
    const metric = metrics.get(current);
    if (name === undefined || metric === undefined) throw refuse("no sample");
    const suffixes = metric.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    if (!suffixes.some((suffix) => name === current + suffix)) throw refuse("a sample of another metric");
    if (metric.samples.has(name + labels)) throw refuse("the same sample twice");
    metric.samples.set(name + labels, Number(value));
  }
  return metrics;
}
