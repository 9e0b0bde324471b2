"""Jobs on the files of an archive, in several processes or on a Ray cluster."""
