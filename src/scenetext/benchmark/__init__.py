"""How fast the parts of a training are, what its optimisations bring, and how much memory it takes.

Machines are shared and noisy: every time is a median over repetitions after a warm-up, and only values of one run of
the command can be compared.
"""
