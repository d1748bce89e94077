// Dark or light, green-red or blue-orange. Charts listen; only colors change, never the view.

const listeners = [];

function onTheme(listener) {
  listeners.push(listener);
}

function remembered(key) {
  try {
    return localStorage.getItem("btcflow-" + key);
  } catch (error) {
    return null; // a page in a sandboxed frame has no storage
  }
}

function remember(key, value) {
  try {
    localStorage.setItem("btcflow-" + key, value);
  } catch (error) {
    return; // as above: the choice then lasts as long as the page
  }
}

function isLight() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "light" : matchMedia("(prefers-color-scheme: light)").matches;
}

function colors() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue("--" + name).trim();
  const names = ["bg", "panel", "line", "text", "muted", "accent", "gain", "loss", "warn", "hold", "spot", "oos", "warm", "low", "mid", "high", "fund", "pick", "tf1", "tf2", "tf3"];
  return Object.fromEntries(names.map((name) => [name, read(name)]));
}

// A hex color with an alpha channel, for fills.
function faded(hex, alpha) {
  return hex + Math.round(255 * alpha).toString(16).padStart(2, "0");
}

function announce() {
  const now = colors();
  for (const listener of listeners) listener(now);
}

function startTheme() {
  const root = document.documentElement;
  const theme = remembered("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const palette = document.getElementById("palette");
  const usePalette = (on) => {
    if (on) root.dataset.palette = "cvd";
    else delete root.dataset.palette;
    palette.setAttribute("aria-pressed", String(on));
  };
  usePalette(remembered("palette") === "cvd");
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isLight() ? "dark" : "light";
    remember("theme", root.dataset.theme);
    announce();
  });
  palette.addEventListener("click", () => {
    const on = root.dataset.palette !== "cvd";
    usePalette(on);
    remember("palette", on ? "cvd" : "");
    announce();
  });
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", announce);
}
