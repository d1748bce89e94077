// Start: decode, draw the newest bars, then the rest; html[data-ready="1"] says that all is done.

function chartTools(price, meta) {
  const host = document.getElementById("tools");
  const span = price.data.bars.rows * meta.step;
  const views = [[meta.clock, meta.step], ...VIEWS.filter(([, seconds]) => seconds > meta.step && (seconds === price.bucket || span / seconds >= 30))];
  const note = document.getElementById("view-note");
  const say = (label) => {
    const known = `Signals of ${meta.timeframe} bars stand beside the bar in which they became known; orders fill at a later open of the ${meta.clock} clock. Shaded: out of sample.`;
    note.textContent = label === meta.clock || label === meta.timeframe ? known
      : `Candles of ${label} are a view only: signals and trades are those of the ${meta.timeframe} run. Another timeframe needs its own run.`;
  };
  const viewButtons = views.map(([label, seconds]) => button(label, label + " candles", () => {
    viewButtons.forEach((one) => one.setAttribute("aria-pressed", String(one.textContent === label)));
    price.look(seconds);
    say(label);
  }, seconds === price.bucket));
  say((views.find(([, seconds]) => seconds === price.bucket) || views[0])[0]);
  const ranges = RANGES.filter(([, days]) => !days || days * 86400 < span).map(([label, days]) => button(label, days ? "The last " + label : "All bars", () => price.days(days)));
  const log = button("log", "Logarithmic price axis", () => {
    price.setLog(!price.log);
    log.setAttribute("aria-pressed", String(price.log));
  }, price.log);
  const kinds = [["long", "▲ long"], ["short", "▼ short"], ["exit", "● exit"]];
  if (price.data.signals.state) kinds.push(["state", "■ state changes"]);
  const marks = kinds.map(([kind, label]) => {
    const toggle = button(label, "Show or hide: " + label, () => toggle.setAttribute("aria-pressed", String(price.toggle(kind))), price.shown[kind]);
    return toggle;
  });
  const shot = button("PNG", "Save the chart as a picture", () => price.chart.takeScreenshot(true).toBlob((blob) => download("chart.png", blob)));
  const gap = () => make("span", "gap");
  host.append(...viewButtons, gap(), ...ranges, gap(), log, gap(), ...marks, gap(), shot);
}

function equityTools(equity) {
  const log = button("log", "Logarithmic equity axis", () => log.setAttribute("aria-pressed", String(equity.setLog(!equity.log))), equity.log);
  if (!equity.positive) {
    log.disabled = true;
    log.title = "No logarithmic axis: a curve falls to zero or below";
  }
  document.getElementById("equity-tools").append(log);
}

async function start() {
  startTheme();
  const meta = JSON.parse(document.getElementById("meta").textContent);
  const data = unpack(await gunzip(document.getElementById("packed").textContent), meta.layout);
  const price = new PriceChart(data, meta);
  chartTools(price, meta);
  await price.load();
  const equity = new EquityChart(data, meta);
  equity.load();
  equityTools(equity);
  await nextFrame();
  if (data.trades.rows) {
    new TradesTable(data.trades, meta, (trade) => {
      price.jump(trade);
      document.getElementById("chart-part").scrollIntoView({ block: "start" });
    });
  }
  if (data.trials) new TrialView(data.trials, meta);
  await nextFrame();
  document.documentElement.dataset.done = String(Math.round(performance.now()));
  document.documentElement.dataset.ready = "1";
}

start().catch((error) => {
  const trouble = document.getElementById("trouble");
  trouble.hidden = false;
  trouble.textContent = "The charts could not be drawn (" + error.message + "). The tables do not need them. A browser of 2023 or later is expected.";
  document.documentElement.dataset.ready = "failed";
  throw error;
});
