"""Representational dissimilarity matrices (RDMs): made from activations, aligned, exchanged with rsatoolbox."""
