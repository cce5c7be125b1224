"""What every layer computes for every stimulus: hooks, the store, extraction."""
