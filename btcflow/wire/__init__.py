"""Requests that survive a bad network: what an answer means, when to ask again, how long to wait."""
