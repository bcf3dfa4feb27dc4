"""A line on the terminal that says how far long work has come; nothing where there is no terminal to overwrite it on."""

import sys


def show(line):
    """Puts `line` in the place of the last one."""
    if sys.stderr.isatty():
        print(f"\r{line}", end="", file=sys.stderr, flush=True)


def end():
    """Leaves the last line as it is."""
    if sys.stderr.isatty():
        print(file=sys.stderr)
