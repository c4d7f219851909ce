"""The table of codes in service/errors.py is what the service really answers."""

import ast
import re
from pathlib import Path

import service.errors as errors

SERVICE = Path(errors.__file__).parent
KINDS = {
    name: kind.status.value
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.ApiError) and kind is not errors.ApiError
}


def table() -> dict[str, tuple[int, set[str]]]:
    """Class -> (status, codes) as the module's docstring has them."""
    rows: dict[str, tuple[int, set[str]]] = {}
    name = ""
    for line in (errors.__doc__ or "").split("ApiError\n")[1].splitlines():
        head = re.match(r"  (\w+) +(\d{3}) +(.*)", line)
        if head:
            name, text = head[1], head[3]
            rows[name] = int(head[2]), set()
        else:
            text = line
        rows[name][1].update(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text))
    return rows


def raised() -> dict[str, set[str]]:
    """Class -> codes that stand in the source."""
    found: dict[str, set[str]] = {name: set() for name in KINDS}
    for path in SERVICE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS and node.args:
                code = node.args[0]
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    found[node.func.id].add(code.value)
    return found


def test_table_has_every_kind_of_error_with_its_status() -> None:
    assert {name: status for name, (status, _) in table().items()} == KINDS


def test_table_has_every_code_that_is_raised() -> None:
    listed = {name: codes for name, (_, codes) in table().items()}
    assert sum(map(len, raised().values())) > 25
    for name, codes in raised().items():
        assert codes <= listed[name], (name, codes - listed[name])
