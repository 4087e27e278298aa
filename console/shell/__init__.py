"""What all screens have in common: the command line, keys, themes, the clipboard, what is remembered."""
