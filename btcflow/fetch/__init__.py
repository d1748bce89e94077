"""Series from the venues' own interfaces, through ccxt, into the store."""
