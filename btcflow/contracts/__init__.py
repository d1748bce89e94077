"""The laws every metric, strategy and alignment must keep, and the machine that tries to break them.

A *subject* is anything that turns the bars of a timeframe into one number per bar. Each law rebuilds
the market in some way that must not matter, computes again, and compares:

=============== ====================================================================================
truncation      records that were not yet known are taken away: decided rows stay as they were
closed bars     what came inside a bar that is still open changes no row and adds none
future          everything after a moment is multiplied, up or down: earlier rows stay as they were
holes           a hole is torn, and what follows it is changed: nothing flows back into the hole
availability    rows are published late, unevenly: a bar decided before does not hold them
needs           only the declared fields are there: the result is the same
purity          no trace is left: in the panel, the global generators and settings, module data
determinism     computed again, also under another global random state: the same to the bit
shape           one float64 per bar, NaN allowed, infinity not; and it runs at all
warm-up         NaN only before the first value, while no input is missing
unit            every price times four: a z-score, share or state stays, a price is four times itself
scale           open interest told in contracts of another size: the result is the same
=============== ====================================================================================

The laws of time, of inputs and of determinism compare bit for bit; unit and scale to 1e-9. A law
that cannot be tried on a subject says why. What no law can see is a wrong ``known_at``: when a
source's rows were known is stated in its import spec, and nowhere else.
"""

from btcflow.contracts.case import Fault, NotApplicable
from btcflow.contracts.subject import Subject, metric_subject, strategy_subject
from btcflow.contracts.trial import FIELDS_OF_METRICS, Aligner, Trial, aligned
from btcflow.contracts.verdict import LAWS, Finding, Judgement, Violation, hold, judge, violations

__all__ = [
    "FIELDS_OF_METRICS",
    "LAWS",
    "Aligner",
    "Fault",
    "Finding",
    "Judgement",
    "NotApplicable",
    "Subject",
    "Trial",
    "Violation",
    "aligned",
    "hold",
    "judge",
    "metric_subject",
    "strategy_subject",
    "violations",
]
