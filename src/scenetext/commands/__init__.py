"""The commands, one verb a file: `scenetext VERB`, or `python tools/VERB.py` in a checkout."""
