"""The bench: the sweep kernel beside other engines, on this machine, equality checked before speed.

``workload`` makes the market, rule and parameter sets; a *contestant* runs sets of it, each in a process
of its own (``worker``); ``gate`` refuses one whose numbers are not those of the exact ledger; ``race``
puts the rows together.
"""
