"""YAML that stands for more than it says, by kind."""

from __future__ import annotations

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)
EXCESS = {
    "aliases": LAUGHS,
    "mappings": "a0: &a0 {a: x, b: x}\n"
    + "".join(
        f"a{n}: &a{n} {{{', '.join(f'{k}: *a{n - 1}' for k in 'abcdefghi')}}}\n"
        for n in range(1, 9)
    ),
    "merges": "a0: &a0 {a: x}\n"
    + "".join(f"a{n}: &a{n} [{{<<: *a{n - 1}}}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 20)),
    "long text": "a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 1000 + "]\n",
    "brackets": "[" * 50_000,
    "closed brackets": "[" * 50_000 + "]" * 50_000,
    "braces": '{"a":' * 5000 + "1" + "}" * 5000,
    "dashes": "- " * 50_000,
    "questions": "? " * 50_000,
    "columns": "".join(f"{' ' * n}a:\n" for n in range(2000)),
    "itself": "a: &x [1, *x]\n",
}

MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 9)
)
"""PyYAML copies what is merged: 10^8 pairs."""
ODD = {
    "bool": "a: !!bool x\n",
    "int": "a: !!int x\n",
    "float": "a: !!float x\n",
    "digits": f"a: {'1' * 5000}\n",
    "date": "a: 2020-99-99\n",
    "zone": "a: 2001-12-14t21:59:43.10-99:99\n",
    "binary": "a: !!binary '%%%'\n",
    "python": "a: !!python/object/apply:os.system [id]\n",
    "own tag": "a: !x {b: c}\n",
    "list as key": "? [a]\n: b\n",
    "map as key": "? {a: !!bool x}\n: b\n",
    "set": "a: !!set [x]\n",
    "pairs": "a: !!pairs [1]\n",
    "omap": "a: !!omap {x: !!int y}\n",
    "merge of a text": "a: {<<: x}\n",
    "text as map": "a: !!map x\n",
    "map as text": "a: !!str {b: c}\n",
    "null": "a: !!null x\n",
    "timestamp": "a: !!timestamp x\n",
    "bomb of a date": "a: !!timestamp [x]\n",
    "surrogate": "a: \ud800\n",
    "zero byte": "a: \0\n",
    "escape": 'a: "\\UFFFFFFFF"\n',
    "directive": "%YAML 999.999\n---\na: b\n",
    "empty": "",
    "list": "- a\n",
}
"""YAML that is wrong or unusual in other ways, by kind."""
