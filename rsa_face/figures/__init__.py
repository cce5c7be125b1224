"""One module for each figure; a figure draws a labelled array and computes nothing."""
