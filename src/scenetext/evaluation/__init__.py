"""How good detections are, by named rules.

`rules` says what a rule is and names the known ones; `overlaps`, `matching` and `spotting` are its parts; `scores`
holds what is counted; `evaluator` applies a rule to an image and to a set; `report` prints. `files` reads and writes
the detections of any system; `lexicon` corrects their texts.
"""
