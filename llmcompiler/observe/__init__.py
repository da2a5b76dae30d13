"""Views of a run: folds over its events."""
