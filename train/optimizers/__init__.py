"""Seam: one file per optimiser. A member offers `Settings` (extending train.optim.Settings) and
`build(groups, settings)`, a torch optimiser over groups that hold `params` and `weight_decay`.
"""
