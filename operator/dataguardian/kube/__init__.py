"""Kubernetes: schemas, objects and the calls that are made of the API server."""
