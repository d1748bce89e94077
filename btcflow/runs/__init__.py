"""Runs: carry an experiment out, keep its answer in a folder, and prove it again."""
