"""The five networks, the names of their layers, and their weights."""
