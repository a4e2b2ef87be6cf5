"""The limit on every number that is read."""

LARGEST = 1e30  # float32, in which everything is trained, soon overflows beyond it
