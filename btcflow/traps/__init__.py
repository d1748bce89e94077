"""The trap suite: leaks that people really write, each with the law that must catch it, and honest controls.

`btcflow check --traps` runs it: every leak has to be caught, and no control accused. A checker that
has not been tried on known leaks is an opinion.
"""

from btcflow.traps import controls, habits, joins, later_rows, whole_sample
from btcflow.traps.trap import Trap, collected

__all__ = ["CONTROLS", "LEAKS", "Trap"]

LEAKS = collected(whole_sample, later_rows, joins, habits)
CONTROLS = collected(controls)
