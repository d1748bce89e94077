"""Slow, obvious references: one bar at a time, one position, plain Python, no code of the package."""

from collections.abc import Callable
from dataclasses import dataclass, field

HOUR = 3_600_000_000_000


@dataclass
class ToyMarket:
    """Hourly bars (some may be missing) and funding events, as lists."""

    opened: list[int]  # instants, ns
    open: list[float]
    close: list[float]
    settlements: list[tuple[int, float]] = field(default_factory=list)  # instant, quote currency one BTC long pays
    low: list[float] = field(default_factory=list)  # else the lower of open and close
    high: list[float] = field(default_factory=list)
    volume: list[float] = field(default_factory=list)  # BTC

    def extremes(self, i: int) -> tuple[float, float]:
        low = self.low[i] if self.low else min(self.open[i], self.close[i])
        return low, self.high[i] if self.high else max(self.open[i], self.close[i])

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
    liquidated_at: float | None = None


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


Tiers = tuple[tuple[float, float], ...]


def margin_needed(notional: float, tiers: Tiers) -> float:
    """Each tier's rate on the part of the notional that lies inside the tier."""
    floors = [floor for floor, _ in tiers] + [float("inf")]
    parts = [max(0.0, min(notional, floors[k + 1]) - floors[k]) for k in range(len(tiers))]
    return sum(part * rate for part, (_, rate) in zip(parts, tiers, strict=True))


def halving(safe: float, unsafe: float, is_safe: Callable[[float], bool]) -> float:
    """The price between a safe and an unsafe one at which safety ends, by halving."""
    for _ in range(200):
        middle = (safe + unsafe) / 2
        safe, unsafe = (middle, unsafe) if is_safe(middle) else (safe, middle)
    return unsafe


@dataclass
class ReferenceAccount:
    """Cash and coins of one trader, and what is still to be bought of the order in work."""

    cash: float
    coins: float = 0.0
    target: float = 0.0
    goal: float = 0.0
    rest: list[float] = field(default_factory=list)  # the last part is whatever reaches the goal
    dead: bool = False

    def worth(self, price: float) -> float:
        return self.cash + self.coins * price


def reference_ledger(
    market: ToyMarket,
    targets: list[float],
    *,
    capital: float,
    gross: float,
    fee: float,
    slippage: float,
    tiers: Tiers = ((0.0, 0.005),),
    liquidation_fee: float = 0.005,
    twap: int = 1,
    impact: float = 0.0,
    min_notional: float = 0.0,
    margined: bool = True,
) -> tuple[list[Row], bool]:
    """Cash and coins, bar by bar; returns the rows, and whether the column was ruined."""
    me = ReferenceAccount(capital)
    equity_before, rows = capital, []
    for i in range(len(targets)):
        price, close = market.open[i], market.close[i]
        last = market.close[i - 1] if i else price
        coins_before = me.coins
        row = Row(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        if margined and me.coins and me.worth(price) <= 0:
            row.liquidated_at = last - equity_before / me.coins
        else:
            if targets[i] != me.target and not me.dead:
                me.target = targets[i]
                plan_order(me, price, gross, twap, min_notional)
            if me.rest:
                extra = impact * (abs(next_part(me)) / market.volume[i]) ** 0.5 if impact else 0.0
                buy_part(me, row, price, fee, slippage + extra, margined=margined)
            if margined and me.coins:
                row.liquidated_at = stop_price(me, price, market.extremes(i), tiers)
        if row.liquidated_at is None:
            row.funding = -me.coins * market.paid_in(i)
            me.cash += row.funding
            row.price_pnl = coins_before * (price - last) + me.coins * (close - price)
            if margined and me.coins and me.worth(close) <= 0:
                row.liquidated_at = close - me.worth(close) / me.coins
        if row.liquidated_at is not None:
            stop = row.liquidated_at
            row.price_pnl = coins_before * (price - last) + me.coins * (stop - price)
            notional, left = abs(me.coins) * stop, me.worth(stop)
            charge = min(liquidation_fee * notional, left)
            if left - charge <= 1e-9 * notional:
                charge = left
            row.fees -= max(charge, 0.0)
            me.cash, me.coins, me.rest = left - charge, 0.0, []
            me.dead = me.cash == 0.0
        row.quantity, row.equity = me.coins, me.worth(close)
        rows.append(row)
        parts = row.price_pnl + row.funding + row.fees + row.slippage
        assert abs((row.equity - equity_before) - parts) <= 1e-9 * max(
            1.0, abs(row.equity), abs(me.coins * close), abs(coins_before * close)
        ), "the reference itself must add up"
        equity_before = row.equity
    return rows, me.dead


def plan_order(me: ReferenceAccount, price: float, gross: float, twap: int, min_notional: float) -> None:
    """What to buy at this and the next opens."""
    equity = me.worth(price)
    if equity <= 0:
        me.dead, me.goal, me.rest = True, 0.0, [0.0]
        return
    me.goal = me.target * gross * equity / price
    part = (me.goal - me.coins) / twap
    me.rest = [part] * twap
    opens, closes = me.coins == 0 and me.goal != 0, me.goal == 0
    reverses, enlarges = me.goal * me.coins < 0, abs(me.goal) > abs(me.coins)
    if not closes and (opens or reverses or enlarges) and abs(part) * price < min_notional:
        me.rest = []


def next_part(me: ReferenceAccount) -> float:
    return me.rest[0] if len(me.rest) > 1 else me.goal - me.coins


def buy_part(me: ReferenceAccount, row: Row, price: float, fee: float, slip: float, *, margined: bool) -> None:
    """One order; what closing costs beyond the equity is not collected."""
    bought, equity = next_part(me), me.worth(price)
    fill = price + price * slip if bought > 0 else price - price * slip
    slipped, charged = abs(bought) * abs(fill - price), fee * abs(bought) * fill
    me.rest = me.rest[1:]
    if margined and not me.rest and me.goal == 0:
        me.dead = slipped + charged >= equity
        slipped = min(slipped, equity)
        charged = min(charged, equity - slipped)
    me.cash -= bought * price + slipped + charged
    me.coins = me.coins + bought if me.rest else me.goal
    row.slippage, row.fees = -slipped, -charged


def stop_price(me: ReferenceAccount, price: float, extremes: tuple[float, float], tiers: Tiers) -> float | None:
    """The price at which the venue closes the position in this bar, if it does."""
    worst = extremes[0] if me.coins > 0 else extremes[1]

    def is_safe(at: float) -> bool:
        return me.worth(at) > margin_needed(abs(me.coins) * at, tiers)

    if is_safe(worst):
        return None
    if me.worth(price) <= 0:
        return price - me.worth(price) / me.coins
    return halving(price, worst, is_safe) if is_safe(price) else price


def worst_drawdown(path: list[float]) -> float:
    """The most negative value / highest value so far - 1."""
    return min(value / max(path[: at + 1]) - 1.0 for at, value in enumerate(path))


def longest_below_peak(path: list[float], times: list[int], end: int) -> int:
    """The longest time from a value at the highest so far to the first one there again, or to the end.

    ``path`` is known at ``times``; what misses the highest by less than 1e-10 of it is there.
    """
    high = [value >= (1.0 - 1e-10) * max(path[: at + 1]) for at, value in enumerate(path)]
    longest = 0
    for at in range(len(path) - 1):
        back = [j for j in range(at + 1, len(path)) if high[j]]
        if high[at] and not high[at + 1]:
            longest = max(longest, (times[back[0]] if back else end) - times[at])
    return longest
