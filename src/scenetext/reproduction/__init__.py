"""Tables of the papers as data: what is to be run for them, running it, and the paper's figures beside ours."""
