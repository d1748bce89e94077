"""Search: the space of parameter sets, splits of time, and the one door to Optuna."""
