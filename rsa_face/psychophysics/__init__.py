"""Choices along the morph: psychometric curves, and how much a network's resemble people's."""
