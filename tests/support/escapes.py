"""Trees that try to read files outside of themselves or to reach the network.

Each is a folder ``app`` to be built. In the contents, ``{OUT}`` stands for a
folder outside, ``{UP}`` for a relative way to it, and ``{URL}`` for an address.
"""

from __future__ import annotations

from dataclasses import dataclass

CANARY = "canary-7c1e"
"""What the files outside hold."""
OBJECT = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: outside}\ndata: {found: " + CANARY + "}\n"
)
OUTSIDE = {
    "secret.txt": CANARY,
    "object.yaml": OBJECT,
    "values.env": f"FOUND={CANARY}\n",
    "patch.yaml": f"- {{op: add, path: /data/found, value: {CANARY}}}\n",
    "merge.yaml": OBJECT.replace("outside", "mine"),
    "base/kustomization.yaml": "resources: [object.yaml]\n",
    "base/object.yaml": OBJECT,
    "component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\n"
    f"kind: Component\ncommonLabels: {{found: {CANARY}}}\n",
    "plugin.yaml": "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: made}\n"
    f"literals: [found={CANARY}]\n",
    "replacements.yaml": "[]\n",
    "config.yaml": "namePrefix: []\n",
    "schema.json": "{}",
}
MINE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine}\ndata: {a: b}\n"
GENERATOR = "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: made}\n"


@dataclass(frozen=True, kw_only=True)
class Escape:
    """A tree, and the file in it that is wrong."""

    name: str
    files: dict[str, str]
    file: str = "app/kustomization.yaml"

    def at(self, out: str, url: str) -> dict[str, str]:
        """Return the files for the folder `out` outside and the address `url`."""
        up = "../" * 40 + out.lstrip("/")
        words = {"{OUT}": out, "{UP}": up, "{URL}": url, "{HOST}": url.partition("//")[2]}
        found = dict(self.files)
        for word, value in words.items():
            found = {path: text.replace(word, value) for path, text in found.items()}
        return found


def _app(
    name: str, text: str, more: dict[str, str] | None = None, file: str = "app/kustomization.yaml"
) -> Escape:
    files = {"app/kustomization.yaml": f"resources: [mine.yaml]\n{text}", "app/mine.yaml": MINE}
    return Escape(name=name, files=files | (more or {}), file=file)


def _fields() -> list[Escape]:
    """Every field that names a file, with a way out of each kind."""
    fields = {
        "resources": ("bases: [{}]\n", "object.yaml"),
        "folder": ("bases: [{}]\n", "base"),
        "bases": ("bases: [{}]\n", "base"),
        "components": ("components: [{}]\n", "component"),
        "crds": ("crds: [{}]\n", "schema.json"),
        "configurations": ("configurations: [{}]\n", "config.yaml"),
        "generators": ("generators: [{}]\n", "plugin.yaml"),
        "transformers": ("transformers: [{}]\n", "plugin.yaml"),
        "validators": ("validators: [{}]\n", "plugin.yaml"),
        "openapi": ("openapi: {{path: {}}}\n", "schema.json"),
        "replacements": ("replacements: [{{path: {}}}]\n", "replacements.yaml"),
        "patches": ("patches: [{{path: {}, target: {{kind: ConfigMap}}}}]\n", "patch.yaml"),
        "strategic": ("patchesStrategicMerge: [{}]\n", "merge.yaml"),
        "json": (
            "patchesJson6902:"
            " [{{path: {}, target: {{version: v1, kind: ConfigMap, name: mine}}}}]\n",
            "patch.yaml",
        ),
        "files": ("configMapGenerator: [{{name: g, files: [{}]}}]\n", "secret.txt"),
        "key": ("configMapGenerator: [{{name: g, files: ['k={}']}}]\n", "secret.txt"),
        "envs": ("configMapGenerator: [{{name: g, envs: [{}]}}]\n", "values.env"),
        "env": ("configMapGenerator: [{{name: g, env: {}}}]\n", "values.env"),
        "secret": ("secretGenerator: [{{name: g, files: ['k={}']}}]\n", "secret.txt"),
        "secret-envs": ("secretGenerator: [{{name: g, envs: [{}]}}]\n", "values.env"),
    }
    ways = {"absolute": "{OUT}/", "dots": "{UP}/", "address": "{URL}/"}
    return [
        _app(f"{field}-{way}", text.format(f"{prefix}{name}"))
        for field, (text, name) in fields.items()
        for way, prefix in ways.items()
        # A base that lies elsewhere is no fault.
        if not (way == "address" and field in ("resources", "folder", "bases", "components"))
    ]


def _plugins() -> list[Escape]:
    """Plugins that read: written in place, in a file, in a folder, hidden as something else."""
    reading = {
        "files": "files: [k={OUT}/secret.txt]\n",
        "files-up": "files: ['{UP}/secret.txt']\n",
        "envs": "envs: ['{OUT}/values.env']\n",
        "case": "FILES: [k={OUT}/secret.txt]\n",
        "address": "files: ['k={URL}/secret.txt']\n",
    }
    found: list[Escape] = []
    for name, text in reading.items():
        body = "".join(f"    {line}\n" for line in (GENERATOR + text).splitlines())
        found += [
            _app(f"inline-{name}", f"generators:\n  - |-\n{body}"),
            _app(
                f"file-{name}",
                "generators: [gen.yaml]\n",
                {"app/gen.yaml": GENERATOR + text},
                "app/gen.yaml",
            ),
            _app(
                f"folder-{name}",
                "generators: [../gen]\n",
                {"gen/kustomization.yaml": "resources: [g.yaml]\n", "gen/g.yaml": GENERATOR + text},
                "gen/g.yaml",
            ),
        ]
    for kind, text in {
        "PatchTransformer": "path: '{OUT}/patch.yaml'\ntarget: {kind: ConfigMap}\n",
        "PatchJson6902Transformer": "path: '{OUT}/patch.yaml'\n"
        "target: {version: v1, kind: ConfigMap, name: mine}\n",
        "PatchStrategicMergeTransformer": "paths: ['{OUT}/merge.yaml']\n",
        "ReplacementTransformer": "replacements: [{path: '{OUT}/replacements.yaml'}]\n",
        "HelmChartInflationGenerator": "chartHome: '{OUT}'\nreleaseName: x\n",
        "SecretGenerator": "files: [k={OUT}/secret.txt]\n",
    }.items():
        key = "generators" if kind.endswith("Generator") else "transformers"
        plugin = f"apiVersion: builtin\nkind: {kind}\nmetadata: {{name: made}}\n{text}"
        found.append(
            _app(kind, f"{key}: [plugin.yaml]\n", {"app/plugin.yaml": plugin}, "app/plugin.yaml")
        )
    patched = {
        "gen/kustomization.yaml": "resources: [g.yaml]\npatches:\n"
        "  - target: {kind: ConfigMapGenerator}\n"
        '    patch: \'[{"op": "add", "path": "/files/-", "value": "k={OUT}/secret.txt"}]\'\n',
        "gen/g.yaml": GENERATOR + "files: []\n",
    }
    twice = {
        "app/gen.yaml": GENERATOR + "files: [k={OUT}/secret.txt]\nfiles: [k={OUT}/values.env]\n"
    }
    return [
        *found,
        _app("patched", "generators: [../gen]\n", patched),
        _app("twice", "generators: [gen.yaml]\n", twice, "app/gen.yaml"),
    ]


def _disguised() -> list[Escape]:
    """References in a form that a search of the text does not see."""
    source = "configMapGenerator: [{name: g, files: [%s]}]\n"
    return [
        _app("case", "ConfigMapGenerator: [{name: g, Files: ['k={OUT}/secret.txt']}]\n"),
        _app("long-s", "patche\u017f: [{path: '{OUT}/patch.yaml', target: {kind: ConfigMap}}]\n"),
        _app("escape", source % '"k=\\x2f{OUT}/secret.txt"'),
        _app("escaped-dots", source % '"k=\\x2e\\x2e/{UP}/secret.txt"'),
        _app("escaped-address", source % '"k=\\x68ttp:\\x2f\\x2f{HOST}/secret.txt"'),
        _app(
            "folded",
            "patches:\n  - path: >-\n      {URL}/patch.yaml\n    target: {kind: ConfigMap}\n",
        ),
        _app("capitals", source % "'k=HTTP://{HOST}/secret.txt'"),
        _app(
            "anchor",
            "commonAnnotations: {a: &p '{OUT}/secret.txt'}\n" + source % "*p",
        ),
        _app("merge", "configMapGenerator: [{<<: {name: g, files: ['{OUT}/secret.txt']}}]\n"),
        _app("comment", "patchesStrategicMerge: ['{a: b} # {UP}/merge.yaml']\n"),
        _app("brace", "patchesStrategicMerge: ['{x/{UP}/merge.yaml']\n"),
        _app("newline", 'patchesStrategicMerge: ["x\\n/../{UP}/merge.yaml"]\n'),
        _app("through-file", source % "'k=mine.yaml/{UP}/secret.txt'"),
        _app("forth-and-back", source % "'k=../app/{UP}/secret.txt'"),
        _app("file-address", "bases: ['file://{OUT}/base']\n"),
        _app("forced-file-address", "bases: ['git::file://{OUT}/base']\n"),
        _app("helm", "helmCharts: [{name: x, valuesFile: '{OUT}/secret.txt'}]\n"),
        _app("helm-old", "helmChartInflationGenerator: [{chartName: x, values: '{OUT}/x'}]\n"),
        _app("json", '# JSON is YAML\n"crds": ["{OUT}/schema.json"]\n'),
    ]


def _nested() -> list[Escape]:
    """Escapes below a base, and in files that are made for a folder without a kustomization."""
    base = Escape(
        name="base",
        files={
            "app/kustomization.yaml": "resources: [../base]\n",
            "base/kustomization.yaml": "namePrefix: x-\n"
            "configMapGenerator: [{name: g, files: ['{OUT}/secret.txt']}]\n",
        },
        file="base/kustomization.yaml",
    )
    scanned = Escape(
        name="scanned",
        files={
            "app/own/Kustomization": "namePrefix: x-\n"
            "secretGenerator: [{name: g, envs: ['{OUT}/values.env']}]\n",
            "app/mine.yaml": MINE,
        },
        file="app/own/Kustomization",
    )
    return [base, scanned]


def all_of() -> list[Escape]:
    """Return every tree."""
    return [*_fields(), *_plugins(), *_disguised(), *_nested()]
