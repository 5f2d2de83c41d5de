"""`python -m scenetext VERB` is `scenetext VERB`, as in `torchrun -m scenetext train ...`."""

from scenetext.commands import main

if __name__ == "__main__":
    main()
