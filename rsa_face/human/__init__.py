"""Human behaviour as RDMs: one for each participant."""
