"""Texts from outside, fit for one line."""


def one_line(text: str, longest: int) -> str:
    """The text with all white space as single spaces, cut to ``longest`` characters and marked where it is cut."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
