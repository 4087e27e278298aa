"""Text as lines of spans with a tone: tables, diffs, folds, bars. No Textual."""
