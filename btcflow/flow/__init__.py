"""The flow metrics: premium, open interest, funding, their z-scores, states and cycle extremes."""
