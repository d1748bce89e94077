// Rows for the chart library, from columns.

const MAX_WHITESPACE = 20000;
const CLEAR = Object.fromEntries(
  ["color", "lineColor", "topColor", "bottomColor", "topLineColor", "bottomLineColor", "topFillColor1", "topFillColor2", "bottomFillColor1", "bottomFillColor2"].map((key) => [key, "rgba(0,0,0,0)"]),
);

// Bucket opens counted from 1970 (weeks from its first Monday): the same everywhere, gaps or not.
function bucketOpen(time, seconds) {
  const shift = seconds === 604800 ? 4 * 86400 : 0;
  return Math.floor((time - shift) / seconds) * seconds + shift;
}

function candleRows(bars, step, bucket) {
  const rows = [];
  let spare = MAX_WHITESPACE;
  for (let i = 0; i < bars.rows; i++) {
    const time = bucket > step ? bucketOpen(bars.time[i], bucket) : bars.time[i];
    const last = rows[rows.length - 1];
    if (last && last.time === time) {
      last.high = Math.max(last.high, bars.high[i]);
      last.low = Math.min(last.low, bars.low[i]);
      last.close = bars.close[i];
      continue;
    }
    if (last) {
      for (let gap = last.time + bucket; gap < time && spare > 0; gap += bucket, spare--) rows.push({ time: gap });
    }
    rows.push({ time, open: bars.open[i], high: bars.high[i], low: bars.low[i], close: bars.close[i] });
  }
  return rows;
}

// Points of one metric. A missing value is whitespace. The library would join its two neighbors, and a
// stroke has the color of the point it leaves: so the last point before a hole gets no color. Where bars
// are merged to fit the screen that color is lost: so every hole is covered as well. A stepped value
// holds to the end of its bar, where the hole begins.
function metricRows(signals, name, meta, bucket, end) {
  const rows = [];
  const holes = [];
  const step = meta.step;
  const factor = METRICS[name].factor;
  let known = null;
  let hole = false;
  for (let i = 0; i < signals.rows; i++) {
    const time = bucket > step ? bucketOpen(signals.time[i], bucket) : signals.time[i];
    const value = factor * signals[name][i];
    const last = rows[rows.length - 1];
    if (last && last.time === time) rows.pop();
    if (Number.isNaN(value)) {
      if (meta.steps && known && !hole) {
        known = { time, value: known.value };
        rows.push(known);
      } else rows.push({ time });
      hole = known !== null;
      continue;
    }
    if (hole) {
      Object.assign(known, CLEAR);
      holes.push({ from: known.time, to: time });
    }
    hole = false;
    known = { time, value };
    rows.push(known);
  }
  if (meta.steps && known && !hole && known.time < end) rows.push({ time: end, value: known.value }); // it still holds
  return { rows, holes };
}

function sliceTable(table, first) {
  const part = { rows: table.rows - first };
  for (const [name, column] of Object.entries(table)) {
    if (name === "rows") continue;
    part[name] = column.codes ? { codes: column.codes.subarray(first), names: column.names } : column.subarray(first);
  }
  return part;
}
