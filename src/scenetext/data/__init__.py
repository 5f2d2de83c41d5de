"""From annotation files to batches: records, images, transforms, loading; and scenes generated to train on."""
