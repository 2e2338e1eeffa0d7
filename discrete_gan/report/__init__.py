"""Pages, charts and comparisons of runs, made of their scores."""
