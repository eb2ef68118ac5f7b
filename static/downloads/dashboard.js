/** The charts of the admin's first page, drawn by uPlot from what the server put into it. */

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { data, numberText, sizeText } from "./words.js";

const HEIGHT = 180;
const LIGHT_OR_DARK = matchMedia("(prefers-color-scheme: dark)");

const said = document.getElementById("chart-says");
const total = said.textContent;
const names = data.days.map((day) => day.name);
const of = (key) => data.days.map((day) => day[key]);
const plots = [];

/** A colour of the page as it is now: by day and by night it is another. */
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.getElementById("dashboard").append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** Say in words what the bars under the cursor are, as the table does. */
function sayDay(plot) {
  const { idx } = plot.cursor;
  const row = document.querySelector("#days tbody").rows[data.days.length - 1 - idx];
  const heads = document.querySelector("#days thead").rows[0].cells;
  said.textContent = idx == null ? total : [...row.cells].map((cell, at) => (at ? `${heads[at].textContent} ${cell.textContent}` : cell.textContent)).join(" · ");
}

function draw(id, series, text, steps) {
  const place = document.getElementById(id);
  const bars = uPlot.paths.bars({ size: [0.7, 40] });
  const axis = { stroke: () => colour("--body-quiet-color"), grid: { stroke: () => colour("--hairline-color"), width: 1 }, ticks: { show: false } };
  const plot = new uPlot(
    {
      width: place.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [-0.6, names.length - 0.4] }, y: { range: (_plot, _least, most) => [0, most * 1.05 || 1] } },
      axes: [
        { ...axis, grid: { show: false }, size: 28, space: 80, incrs: [1, 2, 5, 10, 15, 30], values: (_plot, days) => days.map((day) => names[day] ?? "") },
        { ...axis, size: 72, incrs: steps, values: (_plot, values) => values.map((value) => (value ? text(value) : "")) },
      ],
      series: [{}, ...series.map(({ paint }) => ({ fill: () => colour(paint), stroke: () => colour(paint), width: 0, paths: bars, points: { show: false } }))],
      hooks: { setCursor: [sayDay] },
    },
    [names.map((_name, at) => at), ...series.map(({ values }) => values)],
    place,
  );
  plot.root.setAttribute("aria-hidden", "true"); // the table says the same
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  plots.push(plot);
}

const decimal = [1, 10, 100, 1e3, 1e4, 1e5, 1e6].flatMap((power) => [1, 2, 5].map((step) => step * power));
const binary = [0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5, 10, 20, 50, 100, 200, 500].map((step) => step * 1024 ** power));
const failed = of("failed");

// One bar behind the other: what of the red one is seen is what failed.
draw(
  "chart-downloads",
  [
    { values: of("completed").map((number, at) => number + failed[at]), paint: "--chart-failed" },
    { values: of("completed"), paint: "--chart-completed" },
  ],
  numberText,
  decimal,
);
draw("chart-bytes", [{ values: of("bytes"), paint: "--chart-completed" }], sizeText, binary);

const redraw = () => plots.forEach((plot) => plot.redraw());
new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
LIGHT_OR_DARK.addEventListener("change", redraw);
