"""Texts from outside, fit for one line."""


def printable(text: str) -> str:
    """The text on one line, with a mark for each character that isn't shown: labels come from outside."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def one_line(text: str, longest: int) -> str:
    """The text with all white space as single spaces, cut to ``longest`` characters and marked where it is cut."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
