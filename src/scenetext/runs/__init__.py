"""From the settings of a run to everything that runs: its data, checks, model and trainer."""
