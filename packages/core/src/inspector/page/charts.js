// The time line as charts.

import uPlot from "uplot";
import { count, duration, make, rate } from "./dom.js";

/** Name, colour (of page.css) and value of each line; a chart for each list. */
const charts = [
  {
    title: "Alive",
    format: count,
    lines: [
      ["scopes", "--accent", ({ counts }) => counts.scopes],
      ["queued", "--late", ({ counts }) => counts.queued],
      ["cancelling", "--bad", ({ counts }) => counts.cancelling],
    ],
  },
  {
    title: "Per second",
    format: rate,
    lines: [
      ["created", "--accent", ({ rates }) => rates?.created ?? null],
      ["settled", "--good", ({ rates }) => rates?.settled ?? null],
    ],
  },
  {
    title: "Loop delay",
    format: duration,
    lines: [
      ["p50", "--accent", ({ loopDelay }) => loopDelay?.p50 ?? null],
      ["p99", "--late", ({ loopDelay }) => loopDelay?.p99 ?? null],
      ["max", "--bad", ({ loopDelay }) => loopDelay?.max ?? null],
    ],
  },
];

const HEIGHT = 112;

export class Charts {
  #box;
  #pick;
  #plots = [];
  #moments = [];

  /** @param pick - Called with the time at the position that was clicked. */
  constructor(box, pick) {
    this.#box = box;
    this.#pick = pick;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#restart());
    new ResizeObserver(() => {
      for (const plot of this.#plots) plot.setSize({ width: this.#width(), height: HEIGHT });
    }).observe(box);
  }

  /** @param at - The moment that the rest of the page shows, if it is not the newest. */
  show(moments, at) {
    this.#moments = moments;
    if (this.#plots.length === 0) this.#start();
    charts.forEach(({ lines }, index) => {
      const plot = this.#plots[index];
      plot.shownAt = at;
      plot.setData(dataOf(moments, lines));
    });
  }

  #width() {
    return Math.max(200, this.#box.clientWidth - 2);
  }

  #start() {
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    for (const chart of charts) {
      const axis = {
        stroke: colour("--faint"),
        grid: { stroke: colour("--line"), width: 1 },
        ticks: { show: false },
      };
      const plot = new uPlot(
        {
          width: this.#width(),
          height: HEIGHT,
          legend: { show: false },
          cursor: { sync: { key: "time" }, drag: { x: false, y: false }, points: { show: false } },
          scales: { y: { range: (_plot, _least, most) => [0, Math.max(1, (most ?? 1) * 1.1)] } },
          axes: [
            {
              ...axis,
              space: 90,
              size: 28,
              values: (_plot, times) =>
                times.map((time) => new Date(time * 1000).toLocaleTimeString("en-GB")),
            },
            { ...axis, size: 64, values: (_plot, values) => values.map(chart.format) },
          ],
          series: [
            {},
            ...chart.lines.map(([label, name]) => ({
              label,
              stroke: colour(name),
              width: 1.5,
              points: { show: false },
            })),
          ],
          hooks: { draw: [(drawn) => drawShown(drawn, colour("--text"))] },
        },
        dataOf(this.#moments, chart.lines),
        this.#box.appendChild(figureOf(chart)),
      );
      plot.over.addEventListener("click", () => {
        const time = this.#moments[plot.cursor.idx ?? -1]?.at;
        if (time !== undefined) this.#pick(time);
      });
      this.#plots.push(plot);
    }
  }

  /** Makes the charts anew in other colours: uPlot can't change the colours of a chart. */
  #restart() {
    for (const plot of this.#plots) plot.destroy();
    this.#plots = [];
    this.#box.replaceChildren();
    if (this.#box.clientWidth > 0 && this.#moments.length > 0) this.show(this.#moments);
  }
}

/** The title and the legend of a chart. */
function figureOf({ title, lines }) {
  const names = lines.map(([name, colour]) => {
    const mark = make("i");
    mark.style.background = `var(${colour})`;
    return make("span", {}, mark, name);
  });
  return make("figure", {}, make("figcaption", {}, make("strong", {}, title), ...names));
}

const dataOf = (moments, lines) => [
  moments.map(({ at }) => at / 1000),
  ...lines.map(([, , value]) => moments.map(value)),
];

function drawShown(plot, colour) {
  if (plot.shownAt === undefined) return;
  const x = Math.round(plot.valToPos(plot.shownAt / 1000, "x", true));
  const { top, height } = plot.bbox;
  plot.ctx.fillStyle = colour;
  plot.ctx.fillRect(x, top, 2, height);
}
