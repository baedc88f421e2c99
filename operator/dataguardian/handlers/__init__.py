"""What the operator reacts to. All triggers stand in one table, in ``triggers``; each kind has its module."""
