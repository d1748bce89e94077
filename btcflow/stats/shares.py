"""A share of a few counted things, with its exact interval."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Share", "clopper_pearson"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """``count`` of ``of`` with the Clopper-Pearson interval of 95 %; the value of 0 of 0 is NaN."""

    count: int
    of: int
    low: float
    high: float

    @classmethod
    def exact(cls, count: int, of: int) -> Share:
        """A share with its interval."""
        low, high = clopper_pearson(count, of)
        return cls(count=count, of=of, low=low, high=high)

    @property
    def value(self) -> float:
        """The share itself."""
        return self.count / self.of if self.of else float("nan")


def clopper_pearson(count: int, of: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact binomial interval of a share; 0 to 1 where nothing was counted.

    Examples
    --------
    >>> [round(end, 4) for end in clopper_pearson(3, 10)]
    [0.0667, 0.6525]
    """
    from scipy.stats import beta

    tail = (1.0 - confidence) / 2
    low = 0.0 if count == 0 else float(beta.ppf(tail, count, of - count + 1))
    high = 1.0 if count == of else float(beta.ppf(1.0 - tail, count + 1, of - count))
    return low, high
