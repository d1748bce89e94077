// What each pane under the price can show, in which unit, and what its sign means.

const METRICS = {
  spot_premium: { label: "Spot premium", factor: 1, digits: 3, suffix: "%", signed: true, style: "split", words: "positive = spot above perps" },
  perp_premium: { label: "Perp premium", factor: 1, digits: 3, suffix: "%", signed: true, style: "split", words: "positive = perps above spot" },
  prem_z: { label: "Perp premium z", factor: 1, digits: 2, suffix: "σ", signed: true, style: "bands", words: "positive = perps dearer than usual" },
  oi_z: { label: "Open interest z", factor: 1, digits: 2, suffix: "σ", signed: true, style: "bands", words: "positive = more open interest than usual; lines at ±1 ±2" },
  oi_change_z: { label: "Open interest change z", factor: 1, digits: 2, suffix: "σ", signed: true, style: "bands", words: "positive = open interest grew more than usual" },
  oi_index: { label: "Open interest index", factor: 1, digits: 1, suffix: "", signed: false, style: "line", words: "100 at the start" },
  funding_apr: { label: "Funding APR", factor: 100, digits: 1, suffix: "%", signed: true, style: "fund", words: "positive = longs pay shorts" },
  fund_z: { label: "Funding z", factor: 1, digits: 2, suffix: "σ", signed: true, style: "bands", words: "positive = longs pay more than usual" },
  funding_8h: { label: "Funding per 8 h", factor: 100, digits: 4, suffix: "%", signed: true, style: "fund", words: "positive = longs pay shorts" },
};

const PANES = [
  ["spot_premium", "perp_premium", "prem_z"],
  ["oi_z", "oi_change_z", "oi_index"],
  ["funding_apr", "fund_z", "funding_8h"],
];

function metricText(name, value) {
  const metric = METRICS[name];
  if (!Number.isFinite(value)) return NONE;
  return number(metric.factor * value, metric.digits, metric.signed) + metric.suffix;
}

// Bands from one time to another: behind the series of a pane, or over them (`order` "top").
class Bands {
  constructor(order = "bottom") {
    this.bands = [];
    this.view = { zOrder: () => order, renderer: () => ({ draw: (target) => this.draw(target) }) };
  }

  attached({ chart, requestUpdate }) {
    this.chart = chart;
    this.requestUpdate = requestUpdate;
  }

  paneViews() {
    return [this.view];
  }

  set(bands) {
    this.bands = bands;
    if (this.requestUpdate) this.requestUpdate();
  }

  draw(target) {
    const scale = this.chart.timeScale();
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      for (const band of this.bands) {
        const from = scale.timeToIndex(band.from, true);
        const to = scale.timeToIndex(band.to, true);
        if (from === null || to === null) continue;
        const half = band.tight ? 0 : (scale.logicalToCoordinate(from + 1) - scale.logicalToCoordinate(from)) / 2; // whole numbers only
        const left = Math.max(0, scale.logicalToCoordinate(from) - half);
        const right = Math.min(mediaSize.width, scale.logicalToCoordinate(to) + half);
        if (right - left < (band.tight ? 3 : 0)) continue;
        context.fillStyle = band.color;
        context.fillRect(left, 0, Math.max(1, right - left), mediaSize.height);
        if (!band.label || right - left < 60) continue;
        context.fillStyle = band.ink;
        context.font = "11px sans-serif";
        context.textAlign = band.tight ? "center" : "right";
        context.fillText(band.label, band.tight ? (left + right) / 2 : right - 6, mediaSize.height - 6);
      }
    });
  }
}

function segmentBands(meta, shift, now) {
  const words = { out_of_sample: "out of sample", warm_up: "warm-up", in_sample: "in sample" };
  const fills = { out_of_sample: now.oos, warm_up: now.warm, in_sample: "transparent" };
  return meta.spans.map((span) => ({
    from: span.from - shift,
    to: span.to - shift,
    color: fills[span.segment],
    label: words[span.segment],
    ink: now.muted,
  }));
}

function chartOptions(now) {
  return {
    autoSize: true,
    handleScroll: { vertTouchDrag: false }, // a finger that moves up or down scrolls the page
    layout: {
      background: { type: "solid", color: now.bg },
      textColor: now.muted,
      fontSize: 11,
      attributionLogo: true,
      panes: { separatorColor: now.line, separatorHoverColor: now.pick, enableResize: true },
    },
    grid: { vertLines: { color: faded(now.line, 0.55) }, horzLines: { color: faded(now.line, 0.55) } },
    crosshair: { mode: 0 },
    rightPriceScale: { borderColor: now.line, minimumWidth: innerWidth < 640 ? 56 : 78 },
    timeScale: {
      borderColor: now.line, timeVisible: true, secondsVisible: false, rightOffset: 3,
      minBarSpacing: 0.005, enableConflation: true,
    },
    localization: { locale: "en-US", timeFormatter: (time) => stamp(time) + " UTC" },
  };
}

// The same options without what would move the view.
function chartColors(now) {
  const all = chartOptions(now);
  return {
    layout: { background: all.layout.background, textColor: all.layout.textColor, panes: all.layout.panes },
    grid: all.grid,
    rightPriceScale: { borderColor: now.line },
    timeScale: { borderColor: now.line },
  };
}

function watermark(pane, now) {
  return LightweightCharts.createTextWatermark(pane, {
    horzAlign: "center",
    vertAlign: "center",
    lines: [{ text: "SIMULATED", color: faded(now.warn, 0.2), fontSize: innerWidth < 640 ? 40 : 72, fontStyle: "bold" }],
  });
}

// One legend box per pane, kept at the pane's top edge.
function placeLegends(chart, boxes) {
  const panes = chart.panes();
  const width = Math.max(120, chart.timeScale().width() - 12);
  let top = 0;
  panes.forEach((pane, index) => {
    const box = boxes[index];
    if (box) {
      box.style.top = top + 3 + "px";
      box.style.maxWidth = width + "px";
    }
    top += pane.getHeight() + 1;
  });
}

function nextFrame() {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
}
