"""How similar layers are to people, and how sure one can be of it."""
