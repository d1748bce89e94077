"""Statistics: what a result is worth, and whether luck explains it."""
