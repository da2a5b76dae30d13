"""Measurements, as ratios in one run against a bound or a peer."""
