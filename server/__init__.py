"""The top floor: tasks, strategies, rounds, export and the command line."""
