"""Weight files of other frameworks to scenetext checkpoints and back."""
