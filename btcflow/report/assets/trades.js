// The trades: sortable by every column, filtered by side, and a click shows the trade on the chart.

// Amounts are in the settlement currency, with as many decimals as the account needs.
const tradeColumns = (digits, quote) => [
  ["Entry (UTC)", "entry_time", (value) => stamp(value)],
  ["Exit (UTC)", "exit_time", (value) => (Number.isFinite(value) ? stamp(value) : "open")],
  ["Side", "side", null],
  ["Bars", "bars", (value) => number(value, 0)],
  ["Entry fill", "entry_fill", (value) => number(value, priceDigits(value) || 1)],
  ["Exit fill", "exit_fill", (value) => number(value, priceDigits(value) || 1)],
  ["Price PnL", "price_pnl", (value) => number(value, digits, true)],
  ["Funding", "funding", (value) => number(value, digits + 1, true)],
  ["Fees", "fees", (value) => number(value, digits + 1, true)],
  ["Slippage", "slippage", (value) => number(value, digits + 1, true)],
  ["Net", "net", (value) => number(value, digits, true)],
  ...(quote ? [["Net, " + quote, "net_usd", (value) => number(value, 0, true)]] : []),
  ["Return", "return", (value) => percent(value, 2, true)],
];
const TONED = new Set(["price_pnl", "net", "net_usd", "return"]);
const SIDES = { long: "▲ long", short: "▼ short" };
const PAGE = 100;

class TradesTable {
  constructor(trades, meta, onPick) {
    this.trades = trades;
    this.columns = tradeColumns(meta.digits, trades.net_usd ? meta.quote : null);
    this.onPick = onPick;
    this.sorted = { key: "entry_time", down: false };
    this.side = "";
    this.limit = PAGE;
    this.host = document.getElementById("trade-view");
    this.build();
    this.tools();
    this.draw();
  }

  build() {
    const table = make("table");
    const head = make("tr");
    this.heads = this.columns.map(([label, key]) => {
      const cell = make("th");
      cell.scope = "col";
      cell.append(button(label, "Sort by " + label, () => this.sort(key)));
      head.append(cell);
      return [cell, key];
    });
    const top = make("thead");
    top.append(head);
    this.body = make("tbody");
    table.append(top, this.body);
    const box = make("div", "scroll");
    box.append(table);
    this.more = button("", "Show more trades", () => {
      this.limit += PAGE;
      this.draw();
    });
    this.host.append(box, this.more);
  }

  tools() {
    const label = make("label", "", "Side ");
    label.append(choice([["", "all"], ["long", "long"], ["short", "short"]], "", (side) => {
      this.side = side;
      this.limit = PAGE;
      this.draw();
    }));
    document.getElementById("trade-tools").append(label, button("CSV", "Save the trades as CSV", () => this.save()));
  }

  sort(key) {
    this.sorted = { key, down: this.sorted.key === key ? !this.sorted.down : false };
    this.draw();
  }

  order() {
    const { key, down } = this.sorted;
    const column = this.trades[key];
    const rows = [];
    for (let i = 0; i < this.trades.rows; i++) if (!this.side || wordAt(this.trades.side, i) === this.side) rows.push(i);
    const value = column.codes ? (row) => wordAt(column, row) : (row) => (Number.isNaN(column[row]) ? Infinity : column[row]);
    const sign = down ? -1 : 1;
    return rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return x === y ? a - b : x < y ? -sign : sign;
    });
  }

  draw() {
    const order = this.order();
    this.body.replaceChildren(...order.slice(0, this.limit).map((row) => this.row(row)));
    this.more.hidden = order.length <= this.limit;
    this.more.textContent = "Show " + Math.min(PAGE, order.length - this.limit) + " more of " + number(order.length, 0);
    for (const [cell, key] of this.heads) {
      if (key === this.sorted.key) cell.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  }

  row(index) {
    const element = make("tr");
    element.tabIndex = 0;
    element.dataset.trade = String(index);
    for (const [, key, show] of this.columns) {
      const side = key === "side" ? wordAt(this.trades.side, index) : "";
      const value = side ? NaN : this.trades[key][index];
      const cell = make("td", "", side ? SIDES[side] || side : show(value));
      if (side) cell.className = side === "long" ? "gain" : "loss";
      if (key === "exit_time" && this.trades.liquidated[index]) cell.append(" ", make("span", "loss", "liquidated"));
      if (TONED.has(key) && value) cell.className = value > 0 ? "gain" : "loss";
      element.append(cell);
    }
    element.addEventListener("click", () => this.pick(element, index));
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.pick(element, index);
    });
    return element;
  }

  pick(element, index) {
    for (const row of this.body.querySelectorAll("[aria-selected]")) row.removeAttribute("aria-selected");
    element.setAttribute("aria-selected", "true");
    this.onPick(index);
  }

  save() {
    const keys = [...this.columns.map(([, key]) => key), "liquidated"];
    const lines = [keys.join(",")];
    for (const row of this.order()) {
      lines.push(keys.map((key) => {
        if (key === "side") return wordAt(this.trades.side, row);
        const value = this.trades[key][row];
        return key.endsWith("_time") ? (Number.isFinite(value) ? new Date(1000 * value).toISOString() : "") : String(value);
      }).join(","));
    }
    download("trades.csv", new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
  }
}
