"""One step of a model, for one symbol in each of a few lanes, in C."""
