"""What a run leaves for people: a learning-curve picture and a one-page report."""
