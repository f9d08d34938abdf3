// @ts-check
/** A strip chart of the last minute, drawn as SVG. */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 360;
const HEIGHT = 118;
const TOP = 16;
const BOTTOM = 98;
const SECONDS = 60;

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function element(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, String(value));
  }
  made.textContent = text;
  return made;
}

/** @param {number} value @returns {number} the next of 1, 2, 5, 10, 20, ... */
function ceilingOf(value) {
  const decade = 10 ** Math.floor(Math.log10(Math.max(value, 1e3)));
  return decade * ([1, 2, 5].find((step) => value <= step * decade) ?? 10);
}

export class StripChart {
  /**
   * @param {HTMLElement} figure to draw in; its caption has an `output` for the latest value
   * @param {(value: number) => string} format
   */
  constructor(figure, format) {
    /** @type {{second: number, value: number}[]} */
    this.points = [];
    this.format = format;
    this.fixed = Number(figure.dataset.ceiling ?? 0);
    this.output = /** @type {HTMLElement} */ (figure.querySelector("output"));
    this.area = element("path", { class: "area" });
    this.line = element("path", { class: "line" });
    this.top = element("text", { x: 2, y: TOP - 5 });
    const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    this.title = element("title", {});
    svg.append(this.title);
    for (const y of [TOP, (TOP + BOTTOM) / 2, BOTTOM]) {
      svg.append(element("path", { class: "grid", d: `M0 ${y}H${WIDTH}` }));
    }
    svg.append(this.area, this.line, this.top);
    svg.append(element("text", { x: 2, y: HEIGHT - 4 }, "60 s ago"));
    svg.append(element("text", { x: WIDTH - 2, y: HEIGHT - 4, "text-anchor": "end" }, "now"));
    figure.append(svg);
    this.draw();
  }

  /** Forget all points. */
  clear() {
    this.points = [];
    this.draw();
  }

  /**
   * @param {number} second of wall time
   * @param {number} value
   */
  add(second, value) {
    this.points.push({ second, value });
    while (second - this.points[0].second > SECONDS) {
      this.points.shift();
    }
    this.draw();
  }

  draw() {
    const ceiling = this.fixed || ceilingOf(Math.max(0, ...this.points.map(({ value }) => value)));
    this.top.textContent = this.format(ceiling);
    const last = this.points.at(-1);
    this.output.textContent = last ? this.format(last.value) : "–";
    this.title.textContent = `Latest: ${this.output.textContent}`;
    const places = this.points.map(({ second, value }) => {
      const x = WIDTH * (1 - ((last?.second ?? 0) - second) / SECONDS);
      const y = BOTTOM - (BOTTOM - TOP) * Math.min(value / ceiling, 1);
      return { x: x.toFixed(1), y: y.toFixed(1) };
    });
    const line = places.map(({ x, y }) => `${x} ${y}`).join("L");
    this.line.setAttribute("d", line && `M${line}`);
    this.area.setAttribute("d", line && `M${places[0].x} ${BOTTOM}L${line}V${BOTTOM}Z`);
  }
}
