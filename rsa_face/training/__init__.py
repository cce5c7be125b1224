"""Transfer learning to valence: training tables, the training itself, checkpoints, and how well it went."""
