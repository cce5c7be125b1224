"""One module for each kind of judgement: what its file must hold, and how trials become dissimilarities."""
