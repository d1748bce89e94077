"""What sources said: records with two times, the store, imports, the simulated market, alignment."""
