"""Meaning: the catalogue of devices, models, rounds and deployments."""
