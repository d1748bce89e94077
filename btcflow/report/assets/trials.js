// The parameter sets that were tried: Sharpe by two parameters, in sample beside out of sample, and one against the other.

const SVG = "http://www.w3.org/2000/svg";
const BINS = 10;

function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

// A parameter as slots: its distinct values where they are few, else equal stretches of its range.
function axisOf(trials, name) {
  const column = trials["param_" + name];
  if (column.codes) return { name, labels: column.names, slot: (row) => column.codes[row], exact: (value) => column.names.indexOf(String(value)) };
  const known = [...new Set(column)].filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (known.length <= 16) {
    const places = new Map(known.map((value, index) => [value, index]));
    return { name, labels: known.map(shortly), slot: (row) => places.get(column[row]) ?? NaN, exact: (value) => nearestSlot(known, value) };
  }
  const low = known[0];
  const width = (known[known.length - 1] - low) / BINS;
  const slotOf = (value) => Math.min(BINS - 1, Math.floor((value - low) / width));
  const labels = Array.from({ length: BINS }, (_, index) => shortly(low + (index + 0.5) * width));
  return { name, labels, slot: (row) => slotOf(column[row]), exact: (value) => (Number.isFinite(value) ? slotOf(value) : -1) };
}

function nearestSlot(known, value) {
  return known.findIndex((one) => Math.abs(one - value) <= 1e-6 * Math.max(1, Math.abs(one)));
}

function shortly(value) {
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

// Mean score and number of sets per cell.
function cellsOf(trials, x, y, key) {
  const cells = new Map();
  for (let row = 0; row < trials.rows; row++) {
    const score = trials[key][row];
    const at = [x.slot(row), y ? y.slot(row) : 0];
    if (Number.isNaN(score) || Number.isNaN(at[0]) || Number.isNaN(at[1])) continue;
    const name = at.join(",");
    const cell = cells.get(name) || { x: at[0], y: at[1], sum: 0, count: 0 };
    cell.sum += score;
    cell.count += 1;
    cells.set(name, cell);
  }
  return [...cells.values()].map((cell) => ({ ...cell, mean: cell.sum / cell.count }));
}

function mixed(hexA, hexB, share) {
  const part = (hex, at) => parseInt(hex.slice(1 + 2 * at, 3 + 2 * at), 16);
  const channels = [0, 1, 2].map((at) => Math.round(part(hexA, at) * (1 - share) + part(hexB, at) * share));
  return "rgb(" + channels.join(",") + ")";
}

// Blue below zero, neutral at zero, orange above: never red against green.
function heat(mean, top, now) {
  const share = Math.min(1, Math.abs(mean) / top);
  return mixed(now.mid, mean < 0 ? now.low : now.high, share);
}

// Black or white, whichever can be read on a color.
function inkOn(rgb) {
  const [red, green, blue] = rgb.match(/\d+/g).map((part) => Math.pow(Number(part) / 255, 2.2));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#10131c" : "#ffffff";
}

class TrialView {
  constructor(trials, meta) {
    this.all = trials;
    this.folds = trials.fold ? [...new Set(trials.fold)].sort((a, b) => a - b) : [];
    this.meta = meta;
    this.use(this.folds[this.folds.length - 1]);
    this.host = document.getElementById("trial-view");
    const names = Object.keys(this.trials).filter((name) => name.startsWith("param_")).map((name) => name.slice(6));
    this.axes = names.map((name) => axisOf(this.trials, name)).filter((axis) => axis.labels.length > 1);
    this.hasOut = this.trials.out_of_sample_sharpe.some((value) => !Number.isNaN(value));
    const ranked = [...this.axes].sort((a, b) => this.spread(b) - this.spread(a));
    [this.x, this.y] = [ranked[0], ranked[1]];
    this.plots = make("div", this.axes.length ? "plots" : "plots one");
    this.tools = make("div", "tools");
    if (this.folds.length > 1) this.tools.append(this.foldPicker());
    if (this.axes.length > 1) this.tools.append(...this.pickers());
    this.host.append(this.tools);
    this.host.append(this.plots);
    this.paint();
    onTheme(() => this.paint());
  }

  // How far the mean in-sample score moves along a parameter: the two that matter most are shown first.
  spread(axis) {
    const means = cellsOf(this.trials, axis, null, "in_sample_sharpe").map((cell) => cell.mean);
    return means.length ? Math.max(...means) - Math.min(...means) : 0;
  }

  // The sets of one fold: folds are scored on different stretches of time.
  use(fold) {
    const keep = [];
    for (let row = 0; row < this.all.rows; row++) if (!this.folds.length || this.all.fold[row] === fold) keep.push(row);
    const pick = (column) => Float64Array.from(keep, (row) => column[row]);
    this.trials = { rows: keep.length };
    for (const [name, column] of Object.entries(this.all)) {
      if (name !== "rows") this.trials[name] = column.codes ? { codes: pick(column.codes), names: column.names } : pick(column);
    }
    this.chosen = this.meta.chosen[Math.max(0, this.folds.indexOf(fold))] || {};
  }

  foldPicker() {
    const label = make("label", "", "fold");
    const options = this.folds.map((fold) => [String(fold), String(fold)]);
    label.append(choice(options, options[options.length - 1][0], (fold) => {
      this.use(Number(fold));
      const [x, y] = [this.x && this.x.name, this.y && this.y.name];
      this.axes = this.axes.map((axis) => axisOf(this.trials, axis.name));
      this.x = this.axes.find((axis) => axis.name === x);
      this.y = this.axes.find((axis) => axis.name === y);
      this.paint();
    }));
    return label;
  }

  pickers() {
    const labels = [];
    const options = this.axes.map((axis, index) => [String(index), axis.name]);
    for (const key of ["x", "y"]) {
      const label = make("label", "", key === "x" ? "across" : "up");
      label.append(choice(options, String(this.axes.indexOf(this[key])), (index) => {
        this[key] = this.axes[Number(index)];
        this.paint();
      }));
      labels.push(label);
    }
    return labels;
  }

  paint() {
    const now = colors();
    this.plots.replaceChildren();
    if (this.x) {
      this.plots.append(this.heatMap("in_sample_sharpe", "In sample", now));
      if (this.hasOut) this.plots.append(this.heatMap("out_of_sample_sharpe", "Out of sample", now));
    }
    this.plots.append(this.scatter());
    this.host.dataset.plots = String(this.plots.children.length);
  }

  figure(title, svg) {
    const figure = make("figure");
    figure.append(make("figcaption", "", title), svg);
    return figure;
  }

  heatMap(key, title, now) {
    const y = this.y && this.y !== this.x ? this.y : null;
    const cells = cellsOf(this.trials, this.x, y, key);
    const both = [...cellsOf(this.trials, this.x, y, "in_sample_sharpe"), ...cellsOf(this.trials, this.x, y, "out_of_sample_sharpe")];
    const top = Math.max(0.1, ...both.map((cell) => Math.abs(cell.mean)));
    const [columns, rows] = [this.x.labels.length, y ? y.labels.length : 1];
    const [left, width, height] = [64, 350, y ? 260 : 60];
    const [w, h] = [width / columns, height / rows];
    const svg = draw("svg", { viewBox: `0 0 430 ${height + 56}`, role: "img", "aria-label": title + " Sharpe by parameter" });
    for (const cell of cells) {
      const box = draw("rect", { x: left + cell.x * w, y: height - (cell.y + 1) * h + 8, width: w - 0.6, height: h - 0.6, fill: heat(cell.mean, top, now) });
      box.append(draw("title", {}, `${this.x.name} ${this.x.labels[cell.x]}${y ? `, ${y.name} ${y.labels[cell.y]}` : ""}: mean Sharpe ${number(cell.mean, 2, true)} over ${cell.count} of ${number(this.meta.trials, 0)} trials`));
      svg.append(box);
      const ink = "fill:" + inkOn(box.getAttribute("fill")); // a style, for the sheet's own color would win over an attribute
      if (w > 32 && h > 15) svg.append(draw("text", { x: left + (cell.x + 0.5) * w, y: height - (cell.y + 0.5) * h + 12, "text-anchor": "middle", style: ink }, number(cell.mean, 2)));
    }
    this.outline(svg, left, w, h, height, y);
    const every = Math.ceil(columns / 8);
    this.x.labels.forEach((label, index) => {
      if (index % every === 0) svg.append(draw("text", { x: left + (index + 0.5) * w, y: height + 24, "text-anchor": "middle" }, label));
    });
    const skip = y ? Math.ceil(rows / 12) : 1;
    if (y) y.labels.forEach((label, index) => {
      if (index % skip === 0) svg.append(draw("text", { x: left - 6, y: height - (index + 0.5) * h + 12, "text-anchor": "end" }, label.slice(0, 9)));
    });
    svg.append(draw("text", { x: left + width / 2, y: height + 44, "text-anchor": "middle", class: "inked" }, this.x.name + (y ? " across, " + y.name + " up" : "")));
    return this.figure(`${title}: mean Sharpe per cell (${this.meta.odds}); colors −${number(top, 1)} to +${number(top, 1)}`, svg);
  }

  // The chosen set's cell.
  outline(svg, left, w, h, height, y) {
    const at = (axis) => (axis && axis.name in this.chosen ? axis.exact(this.chosen[axis.name]) : -1);
    const [column, row] = [at(this.x), y ? at(y) : 0];
    if (column < 0 || row < 0) return;
    const box = draw("rect", { x: left + column * w, y: height - (row + 1) * h + 8, width: w, height: h, class: "pick" });
    box.append(draw("title", {}, "the set that was chosen"));
    svg.append(box);
  }

  scatter() {
    if (!this.hasOut) return make("p", "muted", "Out-of-sample figures of the single sets were not computed.");
    const { in_sample_sharpe: inside, out_of_sample_sharpe: outside, rows } = this.trials;
    const pairs = [];
    for (let row = 0; row < rows; row++) if (!Number.isNaN(inside[row]) && !Number.isNaN(outside[row])) pairs.push([inside[row], outside[row]]);
    const top = Math.max(0.5, ...pairs.map(([a, b]) => Math.max(Math.abs(a), Math.abs(b)))) * 1.05;
    const at = (value) => 130 * (value / top);
    const svg = draw("svg", { viewBox: "0 0 430 316", role: "img", "aria-label": "In-sample against out-of-sample Sharpe" });
    const [cx, cy] = [225, 138];
    svg.append(draw("rect", { x: cx - 150, y: cy - 130, width: 300, height: 260, class: "frame" }));
    svg.append(draw("path", { d: `M${cx - 150} ${cy}h300M${cx} ${cy - 130}v260`, class: "zero", fill: "none" }));
    svg.append(draw("path", { d: pairs.map(([a, b]) => `M${(cx + at(a) * (150 / 130)).toFixed(1)} ${(cy - at(b)).toFixed(1)}h0`).join(""), class: "dots" }));
    for (const [x, y, anchor, text] of [
      [cx - 150, cy + 146, "middle", number(-top, 1)], [cx + 150, cy + 146, "middle", number(top, 1)], [cx, cy + 146, "middle", "0"],
      [cx - 156, cy - 122, "end", number(top, 1)], [cx - 156, cy + 130, "end", number(-top, 1)], [cx - 156, cy + 4, "end", "0"],
    ]) svg.append(draw("text", { x, y, "text-anchor": anchor }, text));
    svg.append(draw("text", { x: cx, y: cy + 168, "text-anchor": "middle", class: "inked" }, "in sample across, out of sample up"));
    return this.figure(`Sharpe of ${number(pairs.length, 0)} sets: in sample against out of sample`, svg);
  }
}
