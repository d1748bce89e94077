"""Slow, obvious references: one bar at a time, one position, plain Python, no code of the package."""

from dataclasses import dataclass, field

HOUR = 3_600_000_000_000


@dataclass
class ToyMarket:
    """Hourly bars (some may be missing) and funding events, as lists."""

    opened: list[int]  # instants, ns
    open: list[float]
    close: list[float]
    settlements: list[tuple[int, float]] = field(default_factory=list)  # instant, quote currency one BTC long pays

    def paid_in(self, i: int) -> float:
        """What one BTC long pays while bar i is the last one opened: open < settlement <= next open."""
        until = self.opened[i + 1] if i + 1 < len(self.opened) else self.opened[i] + HOUR
        return sum(amount for instant, amount in self.settlements if self.opened[i] < instant <= until)


@dataclass
class Row:
    """One bar of the reference ledger."""

    quantity: float
    price_pnl: float
    funding: float
    fees: float
    slippage: float
    equity: float


def targets_on_clock(opened: list[int], decisions: list[tuple[int, float]], delay: int) -> list[float]:
    """The target in force at each open: every decision looks for its bar, later ones overwrite."""
    ordered: list[float | None] = [None] * len(opened)
    for decided, target in decisions:
        candidates = [i for i, instant in enumerate(opened) if instant >= decided]
        if candidates and candidates[0] + delay < len(opened):
            ordered[candidates[0] + delay] = target
    held, path = 0.0, []
    for one in ordered:
        held = held if one is None else one
        path.append(held)
    return path


def reference_ledger(
    market: ToyMarket,
    targets: list[float],
    *,
    capital: float,
    gross: float,
    fee: float,
    slippage: float,
) -> tuple[list[Row], bool]:
    """Cash and coins, bar by bar; returns the rows, and whether the column was ruined."""
    cash, coins, last_target, ruined = capital, 0.0, 0.0, False
    equity_before, rows = capital, []
    for i in range(len(targets)):
        price, close = market.open[i], market.close[i]
        held_before, fees_paid, slippage_paid = coins, 0.0, 0.0
        if targets[i] != last_target and not ruined:
            last_target = targets[i]
            equity_now = cash + coins * price
            ruined = equity_now <= 0
            goal = 0.0 if ruined else targets[i] * gross * equity_now / price
            bought = goal - coins
            fill = price + price * slippage if bought > 0 else price - price * slippage
            fees_paid = fee * abs(bought) * fill
            slippage_paid = abs(bought) * abs(fill - price)
            cash = cash - bought * fill - fees_paid
            coins = goal
        paid = coins * market.paid_in(i)
        cash = cash - paid
        equity = cash + coins * close
        price_pnl = coins * (close - price)
        if i > 0:
            price_pnl = price_pnl + held_before * (price - market.close[i - 1])
        rows.append(Row(coins, price_pnl, -paid, -fees_paid, -slippage_paid, equity))
        assert abs((equity - equity_before) - (price_pnl - paid - fees_paid - slippage_paid)) <= 1e-9 * max(
            1.0, abs(equity), abs(coins * close), abs(held_before * close)
        ), "the reference itself must add up"
        equity_before = equity
    return rows, ruined


def worst_drawdown(path: list[float]) -> float:
    """The most negative value / highest value so far - 1."""
    return min(value / max(path[: at + 1]) - 1.0 for at, value in enumerate(path))


def longest_below_peak(path: list[float], times: list[int]) -> int:
    """The longest time from a peak to the first value back at it, or to the end."""
    longest = 0
    for at, peak in enumerate(path):
        if max(path[: at + 1]) > peak:
            continue
        back = [j for j in range(at + 1, len(path)) if path[j] >= peak]
        first = back[0] if back else len(path) - 1
        if min(path[at : first + 1]) < peak:
            longest = max(longest, times[first] - times[at])
    return longest
