"""The demo: a fleet of its own on this machine, from first round to SPARQL answers."""
