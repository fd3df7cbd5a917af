"""The published catalogue of TinyML models and boards: read, described, compared."""
