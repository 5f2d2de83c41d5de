"""What people look at: attention, score maps, sheets of ground truth, curves of runs, and the state of a machine."""
