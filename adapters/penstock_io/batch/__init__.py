"""A batch: rows of a file to pictures in a folder, through a journal that survives whatever ends the process."""
