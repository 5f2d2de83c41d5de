"""Pictures for people: polygons, heat maps, detections against ground truth, sheets. RGB uint8 arrays in and out."""
