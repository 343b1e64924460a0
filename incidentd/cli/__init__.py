"""The command line. Thin: every command is a few lines around what stands elsewhere."""
