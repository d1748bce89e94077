// Entries, exits and changes of state as markers: shape and text say what color says too.

function tradeMarks(trades) {
  const marks = [];
  for (let i = 0; i < trades.rows; i++) {
    const side = wordAt(trades.side, i);
    marks.push({ time: trades.entry_time[i], kind: side, text: side });
    if (Number.isFinite(trades.exit_time[i])) {
      marks.push({ time: trades.exit_time[i], kind: "exit", text: (trades.liquidated[i] ? "liquidated " : "exit ") + percent(trades.return[i], 1, true) });
    }
  }
  return marks;
}

function stateMarks(signals) {
  const marks = [];
  if (!signals.state) return marks;
  let before = "";
  for (let i = 0; i < signals.rows; i++) {
    const word = wordAt(signals.state, i);
    if (word !== before && word) marks.push({ time: signals.time[i], kind: "state", text: word.replaceAll("_", " ") });
    before = word;
  }
  return marks;
}

const SHAPES = {
  long: { shape: "arrowUp", position: "belowBar" },
  short: { shape: "arrowDown", position: "aboveBar" },
  exit: { shape: "circle", position: "aboveBar" },
  state: { shape: "square", position: "belowBar" },
};

// Markers at the bars of a view: one per kind and stretch of nine pixels, with text only where it can be read.
function thinned(marks, times, spacing, ink) {
  const stretch = Math.max(1, Math.ceil(9 / spacing));
  const seen = new Set();
  const drawn = [];
  for (const mark of marks) {
    const at = lastAtMost(times, mark.time);
    const key = mark.kind + Math.floor(at / stretch);
    if (at < 0 || seen.has(key)) continue;
    seen.add(key);
    drawn.push({ time: times[at], color: ink[mark.kind], ...SHAPES[mark.kind], text: mark.text });
  }
  const apart = (spacing * times.length) / Math.max(1, drawn.length);
  if (spacing < 2 || apart < 45) for (const mark of drawn) mark.text = "";
  return drawn;
}
