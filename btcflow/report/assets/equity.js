// Equity against holding, out of sample shaded, with the drawdown below.

const CURVES = [
  ["buy_and_hold", "buy & hold", "hold", 1],
  ["spot", "spot, no costs", "spot", 1],
  ["equity", "strategy", "accent", 2],
];

class EquityChart {
  constructor(data, meta) {
    this.table = data.equity;
    this.meta = meta;
    this.host = document.getElementById("equity");
    const now = colors();
    this.chart = LightweightCharts.createChart(this.host, chartOptions(now));
    this.chart.applyOptions({ timeScale: { rightOffset: 0 }, handleScroll: { mouseWheel: false }, handleScale: { mouseWheel: false } });
    const others = Object.keys(this.table).filter((name) => name.startsWith("equity_"));
    const dashed = others.map((name, index) => [name, "on " + name.slice(7), "tf" + (index + 1), 1, 2]).reverse();
    this.curves = [...dashed, ...CURVES.filter(([name]) => this.table[name])];
    this.series = this.curves.map(([, , , width, style]) => this.chart.addSeries(LightweightCharts.LineSeries, {
      lineWidth: width, lineStyle: style || 0, priceLineVisible: false,
      priceFormat: { type: "custom", minMove: Math.pow(10, -meta.digits - 2), formatter: (value) => number(value, meta.digits) },
    }));
    this.fall = this.chart.addSeries(LightweightCharts.AreaSeries, {
      lineWidth: 1, priceLineVisible: false, invertFilledArea: true,
      priceFormat: { type: "custom", minMove: 0.01, formatter: (value) => number(value, 1) + "%" },
    }, 1);
    const panes = this.chart.panes();
    panes[0].setStretchFactor(2.6);
    panes[1].setStretchFactor(1);
    this.bands = panes.map((pane) => {
      const bands = new Bands();
      pane.attachPrimitive(bands);
      return bands;
    });
    if (meta.synthetic) this.mark = watermark(panes[0], now);
    const layer = document.getElementById("equity-legends");
    this.boxes = [make("div", "legend"), make("div", "legend")];
    layer.append(...this.boxes);
    const place = () => placeLegends(this.chart, this.boxes);
    new ResizeObserver(() => requestAnimationFrame(place)).observe(this.host);
    this.host.addEventListener("pointerup", () => requestAnimationFrame(place));
    this.chart.subscribeCrosshairMove((event) => this.tell(event.time));
    this.place = place;
    this.positive = !this.table.equity.some((value) => value <= 0);
    this.log = this.positive && this.table.time[this.table.rows - 1] - this.table.time[0] > 365 * 86400;
    onTheme((changed) => this.paint(changed));
  }

  load() {
    const { time, drawdown } = this.table;
    this.series.forEach((series, index) => series.setData(points(time, this.values(index), 1)));
    this.fall.setData(points(time, drawdown, 100));
    this.paint(colors());
    this.chart.timeScale().fitContent();
    this.place();
    this.tell();
    this.host.dataset.points = String(this.table.rows);
  }

  paint(now) {
    this.chart.applyOptions(chartColors(now));
    this.series.forEach((series, index) => series.applyOptions({ color: now[this.curves[index][2]] }));
    this.fall.applyOptions({ lineColor: now.loss, topColor: faded(now.loss, 0.05), bottomColor: faded(now.loss, 0.4) });
    this.bands.forEach((bands, index) => bands.set(segmentBands(this.meta, 0, now).map((band) => (index ? { ...band, label: "" } : band))));
    if (this.mark) this.mark.applyOptions({ lines: [{ text: "SIMULATED", color: faded(now.warn, 0.2), fontSize: innerWidth < 640 ? 40 : 72, fontStyle: "bold" }] });
    this.setLog(this.log);
    this.tell();
  }

  // A benchmark that lost all ends there on a logarithmic axis.
  values(index) {
    const values = this.table[this.curves[index][0]];
    return this.log ? values.map((value) => (value > 0 ? value : NaN)) : values;
  }

  setLog(on) {
    this.log = on && this.positive;
    this.series.forEach((series, index) => {
      const name = this.curves[index][0];
      if (this.table[name].some((value) => value <= 0)) series.setData(points(this.table.time, this.values(index), 1));
    });
    this.series[0].priceScale().applyOptions({ mode: this.log ? 1 : 0, scaleMargins: { top: 0.16, bottom: 0.1 } });
    return this.log;
  }

  tell(time) {
    const { rows } = this.table;
    const at = time === undefined ? rows - 1 : Math.max(0, lastAtMost(this.table.time, time));
    const now = colors();
    const head = this.boxes[0];
    head.replaceChildren();
    for (const [name, label, color] of [...this.curves].reverse()) {
      const swatch = make("b", "", "━ ");
      swatch.style.color = now[color];
      head.append(swatch, make("span", "muted", label + " "), make("span", "value", number(this.table[name][at], this.meta.digits) + "  "));
    }
    head.append(make("span", "muted", stamp(this.table.time[at]) + " UTC"));
    this.boxes[1].replaceChildren(make("b", "", "Drawdown of the strategy "), make("span", "value", percent(this.table.drawdown[at], 1)));
  }
}

function points(time, values, factor) {
  const rows = [];
  for (let i = 0; i < time.length; i++) rows.push(Number.isNaN(values[i]) ? { time: time[i] } : { time: time[i], value: factor * values[i] });
  return rows;
}
