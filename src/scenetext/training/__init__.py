"""One training loop for every task: optimiser, schedule, precision, checkpoints, logs."""
