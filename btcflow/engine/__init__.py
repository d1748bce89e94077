"""Money: the market a strategy trades in, the exact ledger, and the door to vectorbt."""
