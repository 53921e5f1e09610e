"""Seam: one file per schedule. A member offers `Settings` and `share(settings, step, steps)`: the learning
rate of a step in 0 .. steps-1 as a share of the peak. Shares of a run, not epochs, are its unit.
"""
