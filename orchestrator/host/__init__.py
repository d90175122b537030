"""The machine: programs, files, networks. Three doors, nothing else touches them."""
