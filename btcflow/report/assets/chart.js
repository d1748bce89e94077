// Traded price with trade markers, and the flow metrics below it, on one time axis.

const TAIL = 3000;
const VIEWS = [["1h", 3600], ["4h", 14400], ["1D", 86400], ["1W", 604800]];
const RANGES = [["1W", 7], ["1M", 30], ["3M", 91], ["1Y", 365], ["All", 0]];
// Candles as long as the signal's bars, at most a day, where there is a view of that length.
function firstView(meta) {
  const fit = VIEWS.filter(([, seconds]) => seconds > meta.step && seconds <= Math.min(meta.signal, 86400));
  return fit.length ? fit[fit.length - 1][1] : meta.step;
}

class PriceChart {
  constructor(data, meta) {
    this.data = data;
    this.meta = meta;
    this.host = document.getElementById("chart");
    this.bucket = firstView(meta);
    this.shown = { long: true, short: true, exit: true, state: false };
    this.marks = [...tradeMarks(data.trades), ...stateMarks(data.signals)].sort((a, b) => a.time - b.time);
    this.chart = LightweightCharts.createChart(this.host, chartOptions(colors()));
    this.candles = this.chart.addSeries(LightweightCharts.CandlestickSeries, { priceFormat: this.priceFormat(), borderVisible: false });
    this.markers = LightweightCharts.createSeriesMarkers(this.candles, [], { autoScale: false });
    this.panes = PANES.map((names) => names.filter((name) => meta.metrics.includes(name))).filter((names) => names.length);
    this.bands = new Bands();
    this.picked = new Bands();
    const first = this.chart.panes()[0];
    first.attachPrimitive(this.bands);
    first.attachPrimitive(this.picked);
    if (meta.synthetic) this.mark = watermark(first, colors());
    this.makePanes();
    this.makeLegends();
    this.log = meta.spans.length > 0 && data.bars.time[data.bars.rows - 1] - data.bars.time[0] > 365 * 86400;
    this.paint(colors());
    onTheme((now) => this.paint(now));
  }

  priceFormat() {
    const { close, rows } = this.data.bars;
    const digits = priceDigits(close[rows - 1]);
    return { type: "custom", minMove: Math.pow(10, -Math.max(digits, 2)), formatter: (price) => number(price, digits) };
  }

  makePanes() {
    this.lines = this.panes.map((names, index) => this.addLine(names[0], index + 1));
    this.chart.panes().forEach((pane, index) => pane.setStretchFactor(index ? 1 : 3.2));
  }

  addLine(name, pane) {
    const metric = METRICS[name];
    const kind = metric.style === "split" ? LightweightCharts.BaselineSeries
      : metric.style === "fund" ? LightweightCharts.AreaSeries : LightweightCharts.LineSeries;
    const options = {
      lineWidth: 1, lineType: this.meta.steps ? 1 : 0, priceLineVisible: false,
      priceFormat: { type: "custom", minMove: Math.pow(10, -metric.digits - 1), formatter: (value) => number(value, metric.digits, metric.signed) + metric.suffix },
    };
    if (metric.style === "split") options.baseValue = { type: "price", price: 0 };
    if (metric.style === "bands") options.autoscaleInfoProvider = includeBands;
    const series = this.chart.addSeries(kind, options, pane);
    const line = { name, series, levels: [], holes: [], cover: new Bands("top") };
    series.attachPrimitive(line.cover);
    const levels = metric.style === "bands" ? [-2, -1, 0, 1, 2] : metric.style === "line" ? [] : [0];
    for (const price of levels) line.levels.push(series.createPriceLine({ price, lineWidth: 1, lineStyle: levelStyle(price), axisLabelVisible: false }));
    return line;
  }

  makeLegends() {
    const layer = document.getElementById("legends");
    this.boxes = [make("div", "legend")];
    layer.append(this.boxes[0]);
    this.values = this.panes.map((names, index) => {
      const box = make("div", "legend");
      const options = names.map((name) => [name, METRICS[name].label]);
      if (names.length > 1) {
        const select = choice(options, names[0], (name) => this.swap(index, name));
        select.setAttribute("aria-label", "What this pane shows");
        box.append(select);
      } else box.append(make("b", "", METRICS[names[0]].label));
      const value = make("span", "value");
      const words = make("span", "muted long");
      box.append(" ", value, " ", words);
      this.boxes.push(box);
      layer.append(box);
      return { value, words };
    });
    const place = () => placeLegends(this.chart, this.boxes);
    new ResizeObserver(() => requestAnimationFrame(place)).observe(this.host);
    this.host.addEventListener("pointerup", () => requestAnimationFrame(place));
    this.chart.timeScale().subscribeSizeChange(place);
    this.chart.subscribeCrosshairMove((event) => this.tell(event.time));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.thin());
    this.place = place;
  }

  swap(index, name) {
    this.chart.removeSeries(this.lines[index].series);
    this.lines[index] = this.addLine(name, index + 1);
    const first = this.chart.panes();
    first.forEach((pane, at) => pane.setStretchFactor(at ? 1 : 3.2));
    this.paint(colors());
    this.fillLine(this.lines[index], 0);
    this.place();
    this.tell();
  }

  // The newest bars first, so that a reader waits for nothing; then all of them, a series at a time.
  async load() {
    const rows = this.data.bars.rows;
    const tail = (TAIL * this.bucket) / this.meta.step;
    if (rows > tail) {
      this.fill(rows - tail);
      await nextFrame();
    }
    document.documentElement.dataset.chart = String(Math.round(performance.now())); // milliseconds since the page was asked for
    this.rows = candleRows(this.data.bars, this.meta.step, this.bucket);
    this.candles.setData(this.rows);
    for (const line of this.lines) {
      await nextFrame();
      this.fillLine(line, 0);
    }
    this.newest();
    this.finish();
  }

  fill(first) {
    const tail = sliceTable(this.data.bars, first);
    this.rows = candleRows(tail, this.meta.step, this.bucket);
    this.candles.setData(this.rows);
    const from = tail.time[0];
    for (const line of this.lines) this.fillLine(line, from);
    this.newest();
    this.finish();
  }

  fillLine(line, from) {
    const signals = this.data.signals;
    const first = from ? lastAtMost(signals.time, from - 1) + 1 : 0;
    const { rows, holes } = metricRows(first ? sliceTable(signals, first) : signals, line.name, this.meta, this.bucket, this.rows[this.rows.length - 1].time);
    line.holes = holes;
    this.cover(line, colors());
    line.empty = !rows.some((row) => row.value !== undefined);
    line.series.setData(rows);
  }

  cover(line, now) {
    line.cover.set(line.holes.map((hole) => ({ ...hole, tight: true, color: now.bg, label: "no data", ink: now.muted })));
  }

  finish() {
    this.times = this.rows.map((row) => row.time);
    this.shade(colors());
    this.spacing = 0;
    this.thin();
    this.place();
    this.tell();
    this.host.dataset.bars = String(this.rows.length);
  }

  // As many bars as a reader can tell apart.
  newest() {
    this.view(Math.min(300, Math.max(60, Math.round(this.host.clientWidth / 4))));
  }

  // The last `count` bars.
  view(count) {
    const last = this.rows.length - 1;
    this.chart.timeScale().setVisibleLogicalRange({ from: Math.max(-1, last - count), to: last + 3 });
  }

  days(days) {
    if (!days) this.chart.timeScale().fitContent();
    else this.view(Math.max(5, Math.ceil((days * 86400) / this.bucket)));
  }

  // Candles of another length. A view only: what was traded stays what it was.
  look(bucket) {
    this.bucket = bucket;
    this.rows = candleRows(this.data.bars, this.meta.step, bucket);
    this.candles.setData(this.rows);
    for (const line of this.lines) this.fillLine(line, 0);
    this.newest();
    this.finish();
  }

  shade(now) {
    this.bands.set(segmentBands(this.meta, this.meta.step, now));
  }

  // Markers with text where there is room, without where there is little, one per stretch where there is none.
  thin() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range || !this.times) return;
    const room = this.chart.timeScale().width() / Math.max(1, range.to - range.from);
    const spacing = Math.pow(2, Math.round(Math.log2(Math.max(room, 1e-6))));
    this.host.dataset.from = String(this.times[Math.max(0, Math.ceil(range.from))] ?? "");
    this.host.dataset.to = String(this.times[Math.min(this.times.length - 1, Math.floor(range.to))] ?? "");
    if (spacing === this.spacing) return;
    this.spacing = spacing;
    this.drawMarks(spacing);
  }

  drawMarks(spacing) {
    const now = colors();
    const ink = { long: now.gain, short: now.loss, exit: now.muted, state: now.warn };
    const drawn = thinned(this.marks.filter((mark) => this.shown[mark.kind]), this.times, spacing, ink);
    this.markers.setMarkers(drawn);
    this.host.dataset.markers = String(this.markers.markers().length);
  }

  toggle(kind) {
    this.shown[kind] = !this.shown[kind];
    this.drawMarks(this.spacing);
    return this.shown[kind];
  }

  jump(trade) {
    const { entry_time, exit_time } = this.data.trades;
    const last = this.times.length - 1;
    const first = Math.max(0, lastAtMost(this.times, entry_time[trade]));
    const end = Number.isFinite(exit_time[trade]) ? Math.max(first, lastAtMost(this.times, exit_time[trade])) : last;
    const half = Math.max(60, 0.8 * (end - first));
    const middle = (first + end) / 2;
    this.picked.set([{ from: this.times[first], to: this.times[end], color: colors().pick }]);
    this.chart.timeScale().setVisibleLogicalRange({ from: middle - half, to: middle + half });
    this.tell(this.times[first]);
    this.host.dataset.picked = String(trade);
  }

  tell(time) {
    const at = time === undefined ? this.times.length - 1 : lastAtMost(this.times, time);
    const row = this.rows[at];
    const head = this.boxes[0];
    head.replaceChildren(make("b", "", this.meta.instrument + " "));
    if (row && row.open !== undefined) {
      const digits = priceDigits(row.close);
      for (const [letter, key] of [["O", "open"], ["H", "high"], ["L", "low"], ["C", "close"]]) head.append(make("span", "muted", " " + letter + " "), number(row[key], digits));
      const change = row.close / row.open - 1;
      head.append(" ", make("span", change < 0 ? "loss" : "gain", percent(change, 2, true)));
    }
    if (row) head.append(make("span", "muted", " · " + stamp(row.time) + " UTC"));
    this.tellSignals(row ? row.time + this.bucket - 1 : 0);
  }

  tellSignals(until) {
    const signals = this.data.signals;
    const at = lastAtMost(signals.time, until);
    if (at >= 0) {
      const target = signals.target[at];
      const side = target > 0 ? "long" : target < 0 ? "short" : "flat";
      const state = wordAt(signals.state, at).replaceAll("_", " ");
      if (Number.isFinite(target)) this.boxes[0].append(make("span", "muted", " · wants " + side + (state ? " · " + state : "")));
    }
    this.lines.forEach((line, index) => {
      const { value, words } = this.values[index];
      value.textContent = line.empty ? "no values in this run" : at < 0 ? NONE : metricText(line.name, signals[line.name][at]);
      words.textContent = METRICS[line.name].words;
    });
  }

  paint(now) {
    this.chart.applyOptions(chartColors(now));
    this.candles.applyOptions({ upColor: now.gain, downColor: now.loss, wickUpColor: now.gain, wickDownColor: now.loss });
    this.candles.priceScale().applyOptions({ mode: this.log ? 1 : 0, scaleMargins: { top: 0.12, bottom: 0.08 } });
    for (const line of this.lines) {
      line.series.applyOptions(lineColors(METRICS[line.name].style, now));
      line.series.priceScale().applyOptions({ scaleMargins: { top: 0.24, bottom: 0.08 } });
      this.cover(line, now);
      line.levels.forEach((level) => level.applyOptions({ color: Math.abs(level.options().price) > 1 ? now.warn : now.muted }));
    }
    if (this.mark) this.mark.applyOptions({ lines: [{ text: "SIMULATED", color: faded(now.warn, 0.2), fontSize: innerWidth < 640 ? 40 : 72, fontStyle: "bold" }] });
    if (!this.times) return;
    this.shade(now);
    this.drawMarks(this.spacing);
    this.tell();
  }

  setLog(on) {
    this.log = on;
    this.candles.priceScale().applyOptions({ mode: on ? 1 : 0 });
  }
}

function levelStyle(price) {
  return price === 0 ? 0 : Math.abs(price) > 1 ? 2 : 1;
}

function includeBands(original) {
  const found = original();
  if (!found) return found;
  const range = found.priceRange || { minValue: -2, maxValue: 2 };
  return { ...found, priceRange: { minValue: Math.min(-2.2, range.minValue), maxValue: Math.max(2.2, range.maxValue) } };
}

function lineColors(style, now) {
  if (style === "fund") return { lineColor: now.fund, topColor: faded(now.fund, 0.35), bottomColor: faded(now.fund, 0.03) };
  if (style !== "split") return { color: now.accent };
  return {
    topLineColor: now.gain, topFillColor1: faded(now.gain, 0.35), topFillColor2: faded(now.gain, 0.04),
    bottomLineColor: now.loss, bottomFillColor1: faded(now.loss, 0.04), bottomFillColor2: faded(now.loss, 0.35),
  };
}
