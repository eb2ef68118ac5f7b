/** The chart of the speed, drawn by uPlot. Its colours are the page's own. */

import uPlot from "../vendor/uplot/uPlot.esm.js";

const WIDTH = 120;
const HEIGHT = 28;

/** @returns {(values: number[]) => void} draws these, the newest last */
export function chartIn(place) {
  const colour = () => getComputedStyle(place).color;
  const plot = new uPlot(
    {
      width: WIDTH,
      height: HEIGHT,
      cursor: { show: false },
      legend: { show: false },
      axes: [{ show: false }, { show: false }],
      padding: [2, 0, 2, 0],
      scales: { x: { time: false }, y: { range: (_plot, _least, most) => [0, most || 1] } },
      series: [{}, { stroke: colour, fill: () => colour().replace(/rgb\((.*)\)/, "rgb($1 / 18%)").replaceAll(",", ""), width: 1.5, points: { show: false } }],
    },
    [[], []],
    place,
  );
  plot.root.inert = true; // its label says what there is to see
  return (values) => plot.setData([values.map((_value, second) => second), values]);
}
