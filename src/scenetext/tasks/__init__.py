"""What can be learnt: a batch to named losses, predictions, and the metric that sums them up."""
