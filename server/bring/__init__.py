"""Bring your own model: what a foreign file holds, and a tail of ours behind its features."""
