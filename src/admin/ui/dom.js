// SPDX-License-Identifier: Apache-2.0
// Elements and numbers. Everything from outside is set as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function el(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  return node;
}

// Writes only what differs, so that a selection or a tooltip survives the next second.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node, className) {
  if (node.className !== className) node.className = className;
}

export function setTitle(node, text) {
  if (node.title !== text) node.title = text;
}

// ---- numbers

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (n) => whole.format(n);

export function short(n) {
  if (n < 10000) return whole.format(n);
  const units = ["k", "M", "G", "T"];
  let unit = -1;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${n < 100 ? n.toFixed(1) : n.toFixed(0)} ${units[unit]}`;
}

export function rate(n) {
  if (n === 0) return "0";
  if (n < 0.1) return "<0.1";
  return n < 10 ? n.toFixed(1) : short(Math.round(n));
}

export function ms(n) {
  if (!n) return "–";
  if (n < 10) return `${n.toFixed(n < 1 ? 2 : 1)} ms`;
  return n < 10000 ? `${n.toFixed(0)} ms` : `${(n / 1000).toFixed(1)} s`;
}

export function percent(share) {
  if (share === 0) return "0 %";
  return share < 0.001 ? "<0.1 %" : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${unit === 0 || n >= 100 ? n.toFixed(0) : n.toFixed(1)} ${units[unit]}`;
}

export function age(milliseconds) {
  const s = Math.max(0, milliseconds) / 1000;
  if (s < 1) return "now";
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

// ---- sparklines

export const SPARK_POINTS = 60;

// An <svg> with one line; call drawSpark with the history to update it.
export function spark(width, height) {
  const root = svg("svg", {
    class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true",
    preserveAspectRatio: "none",
  });
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line" });
  root.append(area, line);
  root.parts = { area, line, width, height };
  return root;
}

export function drawSpark(root, history) {
  const { area, line, width, height } = root.parts;
  const known = history ? Math.min(history.length, SPARK_POINTS) : 0;
  let top = 0;
  if (history) for (const value of history.values) top = Math.max(top, value);
  let d = "";
  let left = width;
  if (top > 0 && known > 1) {
    const step = width / (SPARK_POINTS - 1);
    left = width - (known - 1) * step;
    for (let i = 0; i < known; i += 1) {
      const value = history.values[(history.length - known + i) % SPARK_POINTS];
      const y = height - 1 - (value / top) * (height - 2.5);
      d += `${i === 0 ? "M" : "L"}${(left + i * step).toFixed(1)} ${y.toFixed(1)}`;
    }
  }
  if (line.getAttribute("d") === d) return;
  line.setAttribute("d", d);
  area.setAttribute("d", d ? `${d}L${width} ${height}L${left.toFixed(1)} ${height}Z` : "");
}

// The last SPARK_POINTS values, one a second.
export class History {
  constructor() {
    this.values = new Float32Array(SPARK_POINTS);
    this.length = 0; // values ever pushed
  }

  push(value) {
    this.values[this.length % SPARK_POINTS] = value;
    this.length += 1;
  }
}
