"""The command line that all benchmarks share: `atttrack bench WORD`, with a default beside every flag."""

import argparse

FLAGS_WITHOUT_DEFAULT = (None, False, argparse.SUPPRESS)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Tells the default of each flag whose help does not."""

    def _get_help_string(self, action: argparse.Action) -> str:
        said = action.help or ""
        if "default" in said or not action.option_strings or action.required or action.default in FLAGS_WITHOUT_DEFAULT:
            return said
        several = isinstance(action.default, list | tuple | range)
        default = " ".join(map(str, action.default)) if several else "%(default)s"
        return f"{said} (default {default})".lstrip()


def command(word: str, about: str | None) -> argparse.ArgumentParser:
    """Return the parser of `atttrack bench WORD`; `about` is the module's text, with examples."""
    return argparse.ArgumentParser(
        prog=f"atttrack bench {word}", description=about, formatter_class=_Help, allow_abbrev=False
    )
