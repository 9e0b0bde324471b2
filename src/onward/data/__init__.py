"""Text sources, vocabularies, encoded corpora, and the order in which training reads them."""
