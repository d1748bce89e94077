// Numbers and times as text: one minus sign, fixed decimals, commas, UTC. Formatters are made once.

const NONE = "–";
const formatters = new Map();

function formatter(digits) {
  if (!formatters.has(digits)) {
    formatters.set(digits, new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formatters.get(digits);
}

function number(value, digits, signed) {
  if (!Number.isFinite(value)) return NONE;
  const text = formatter(digits).format(Math.abs(value));
  if (!/[1-9]/.test(text)) return text;
  return value < 0 ? "−" + text : signed ? "+" + text : text;
}

function percent(fraction, digits, signed) {
  return Number.isFinite(fraction) ? number(100 * fraction, digits, signed) + "%" : NONE;
}

function priceDigits(value) {
  return value >= 10000 ? 0 : value >= 100 ? 1 : value >= 1 ? 3 : 6;
}

function two(value) {
  return value < 10 ? "0" + value : "" + value;
}

function stamp(seconds) {
  if (!Number.isFinite(seconds)) return NONE;
  const at = new Date(1000 * seconds);
  const day = at.getUTCFullYear() + "-" + two(at.getUTCMonth() + 1) + "-" + two(at.getUTCDate());
  return day + " " + two(at.getUTCHours()) + ":" + two(at.getUTCMinutes());
}

// An element with a class and text. Text is always text: nothing here reads markup.
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function button(text, title, onClick, pressed) {
  const element = make("button", "", text);
  element.type = "button";
  element.title = title;
  if (pressed !== undefined) element.setAttribute("aria-pressed", String(pressed));
  element.addEventListener("click", onClick);
  return element;
}

function choice(options, picked, onPick) {
  const select = document.createElement("select");
  for (const [value, text] of options) {
    const option = make("option", "", text);
    option.value = value;
    select.append(option);
  }
  select.value = picked;
  select.addEventListener("change", () => onPick(select.value));
  return select;
}

function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// The last position in a rising array whose value is at most `wanted`; -1 where there is none.
function lastAtMost(sorted, wanted) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= wanted) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
