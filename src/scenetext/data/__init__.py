"""From annotation files to batches: records, transforms, loading, readers of data sets, preparation."""
