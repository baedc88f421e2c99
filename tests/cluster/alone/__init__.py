"""Tests that stop, halt or restart the operator, Postgres or Redis: meanwhile nothing else is tested in the cluster."""
