"""Files in and out: the only home of file formats."""
