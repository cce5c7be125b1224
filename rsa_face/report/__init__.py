"""The finished study as one page that opens anywhere."""
