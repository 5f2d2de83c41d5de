"""Datasets, their combination, and the processes that prepare batches."""
