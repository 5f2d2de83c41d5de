"""From features of a region to its text: recognisers that spotters and the light reader share."""
