"""Experiments: the question, in YAML, and the data it reads."""
