// Read the packed columns (their layout is described in btcflow/report/encode.py).

async function gunzip(text) {
  const raw = atob(text.trim());
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// One column at an offset: its integers, and the offset behind it.
function readColumn(bytes, offset, rows, column) {
  const folded = new Uint32Array(rows);
  for (let plane = 0; plane < column.planes; plane++) {
    const shift = 8 * plane;
    for (let i = 0; i < rows; i++) folded[i] |= bytes[offset + i] << shift;
    offset += rows;
  }
  const whole = new Float64Array(rows);
  let sum = 0;
  for (let i = 0; i < rows; i++) {
    const step = (folded[i] >>> 1) ^ -(folded[i] & 1);
    sum = column.plain ? step : sum + step;
    whole[i] = sum;
  }
  let missing = null;
  if (column.missing) {
    const size = (rows + 7) >> 3;
    missing = bytes.subarray(offset, offset + size);
    offset += size;
  }
  return { whole, missing, offset };
}

// Candles were stored against what was known before them.
function restoreCandles(table) {
  const { open, high, low, close } = table;
  let before = 0;
  for (let i = 0; i < open.length; i++) {
    open[i] += before;
    close[i] += open[i];
    high[i] += Math.max(open[i], close[i]);
    low[i] = Math.min(open[i], close[i]) - low[i];
    before = close[i];
  }
}

function scale(whole, missing, decimals) {
  const unit = Math.pow(10, Math.abs(decimals));
  const values = new Float64Array(whole.length);
  for (let i = 0; i < whole.length; i++) {
    const absent = missing && (missing[i >> 3] >> (i & 7)) & 1;
    values[i] = absent ? NaN : decimals >= 0 ? whole[i] / unit : whole[i] * unit;
  }
  return values;
}

// Tables of columns: numbers (NaN where there is none), or words as {codes, names}.
function unpack(bytes, layout) {
  const tables = {};
  let offset = 0;
  for (const part of layout) {
    const raw = {};
    const gaps = {};
    for (const column of part.columns) {
      const read = readColumn(bytes, offset, part.rows, column);
      raw[column.name] = read.whole;
      gaps[column.name] = read.missing;
      offset = read.offset;
    }
    if (part.table === "bars") restoreCandles(raw);
    const table = { rows: part.rows };
    for (const column of part.columns) {
      const values = scale(raw[column.name], gaps[column.name], column.decimals);
      table[column.name] = column.labels ? { codes: values, names: column.labels } : values;
    }
    tables[part.table] = table;
  }
  return tables;
}

// The word at a row of a word column, or "" where there is none.
function wordAt(column, row) {
  if (!column || !column.codes || Number.isNaN(column.codes[row])) return "";
  return column.names[column.codes[row]];
}
