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
