"""A study: its file, its stages in one table, which of them are up to date, and how they are made."""
