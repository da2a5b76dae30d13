"""Passes over a plan while it is being written: per task as it is read, and over the whole at its end. Pure."""
