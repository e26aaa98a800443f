"""Finding the folder and the stack, the passphrase, and what ``init`` writes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from provision import config_file, crypter, errors
from provision.config_file import scaffold
from provision.secret import Secret

PULUMI = "name: elysium\nruntime: python\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PULUMI)
    return tmp_path


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setattr("platformdirs.user_config_dir", lambda name: str(folder / name))
    return folder


def test_a_stack_id_is_never_read_as_anything_but_a_text():
    made = {config_file.make_stack_id() for _ in range(50)}
    assert len(made) == 50
    assert all(len(one) == 10 and one.isalpha() and one.islower() for one in made)


def new(**values: object) -> config_file.NewStack:
    return config_file.NewStack(
        **({"cluster": "kyrion", "host": "h", "owner": "o", "repository": "r"} | values)  # type: ignore[arg-type]
    )


def test_the_nearest_folder_upwards_is_the_project(root):
    inner = root / "a" / "b"
    inner.mkdir(parents=True)
    found = config_file.find_project(inner)
    assert found.root == root
    assert found.name == "elysium"
    assert found.backend == "file://./.elysium/state"


def test_no_project(tmp_path):
    with pytest.raises(errors.ConfigError, match="or make one here: elysium init"):
        config_file.find_project(tmp_path)
    with pytest.raises(errors.ConfigError, match="is not a folder"):
        config_file.find_project(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("runtime: python\n", "Pulumi.yaml: name: it is missing"),
        ("name: [a]\n", "Pulumi.yaml:1: name: a text is expected"),
        ("name: a/b\n", "Pulumi.yaml:1: name: letters, digits"),
        ("name: a\nbackend:\n  url: 3\n", "Pulumi.yaml:3: backend.url: a text is expected"),
        (
            "name: a\nplugins:\n  analyzers:\n    - name: rules\n      path: ./rules\n",
            "Pulumi.yaml:3: plugins.analyzers: policy packs are not run by elysium",
        ),
        ("name: a: b\n", "Pulumi.yaml:1: mapping values are not allowed"),
    ],
)
def test_a_project_file_that_is_wrong(root, text, message):
    (root / "Pulumi.yaml").write_text(text)
    with pytest.raises(errors.ConfigError) as caught:
        config_file.find_project(root)
    assert message in str(caught.value)


def test_another_backend_and_folder_for_stacks(root):
    (root / "Pulumi.yaml").write_text(
        PULUMI + "backend:\n  url: s3://bucket\nstackConfigDir: stacks\n"
    )
    found = config_file.find_project(root)
    assert found.backend == "s3://bucket"
    assert found.stack_file("a") == root / "stacks" / "Pulumi.a.yaml"


def test_the_only_stack_is_the_default(root):
    found = config_file.find_project(root)
    with pytest.raises(errors.ConfigError, match="elysium init writes one"):
        found.choose(None)
    (root / "Pulumi.kyrion.yaml").touch()
    assert found.choose(None) == "kyrion"
    (root / "Pulumi.other.yaml").touch()
    with pytest.raises(errors.ConfigError, match="say which: --stack kyrion"):
        found.choose(None)
    assert found.choose("other") == "other"
    with pytest.raises(errors.ConfigError, match="did you mean --stack kyrion"):
        found.choose("kyrio")
    with pytest.raises(errors.ConfigError, match="is no name for a cluster"):
        found.choose("../etc")


def test_passphrase_of_the_environment_comes_first(root, home, tmp_path):
    config_file.create_passphrase(root, "kyrion")
    file = tmp_path / "p"
    file.write_text("from-file\n")
    both = {"PULUMI_CONFIG_PASSPHRASE": "", "PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}
    assert config_file.find_passphrase(root, "kyrion", both) == Secret("")
    one = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}
    assert config_file.find_passphrase(root, "kyrion", one) == Secret("from-file")
    gone = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "gone")}
    with pytest.raises(errors.StackError, match="cannot be read"):
        config_file.find_passphrase(root, "kyrion", gone)


def test_the_passphrase_file_is_made_once_and_readable_by_its_owner_only(root, home):
    made, path = config_file.create_passphrase(root, "kyrion")
    again, same = config_file.create_passphrase(root, "kyrion")
    assert made == again
    assert len(made.reveal()) >= 32
    assert path == same == config_file.passphrase_file(root, "kyrion")
    assert home in path.parents
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert config_file.find_passphrase(root, "kyrion", {}) == made


def test_a_missing_passphrase_says_where_it_may_be(root, home, tmp_path):
    with pytest.raises(errors.StackError) as caught:
        config_file.find_passphrase(root, "kyrion", {})
    assert caught.value.exit_code == 7
    assert str(config_file.passphrase_file(root, "kyrion")) in caught.value.hint
    assert "moved" not in caught.value.hint
    _, elsewhere = config_file.create_passphrase(tmp_path / "before", "kyrion")
    with pytest.raises(errors.StackError, match="if the folder was moved") as caught:
        config_file.find_passphrase(root, "kyrion", {})
    assert str(elsewhere) in caught.value.hint


def test_an_empty_passphrase_file_is_refused(root, home):
    _, path = config_file.create_passphrase(root, "kyrion")
    path.write_text("\n")
    with pytest.raises(errors.StackError, match="is empty"):
        config_file.find_passphrase(root, "kyrion", {})


def test_what_init_writes_is_valid_and_opens_again(root, home):
    passphrase, _ = config_file.create_passphrase(root, "kyrion")
    made = crypter.PassphraseCrypter.new(passphrase)
    stack = new(
        gpu=True,
        port=2222,
        identity_file="~/.ssh/id_ed25519",
        host_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA",
        media=config_file.AzureMedia(account="acc", path="c/p", key=made.encrypt("k3y")),
        salt=made.salt,
    )
    path = root / "Pulumi.kyrion.yaml"
    config_file.write_new(path, stack)
    found = config_file.find_project(root)
    opened = config_file.read(path, config_file.stack_crypter(found, "kyrion", {}))
    assert opened.config.server.port == 2222
    assert opened.config.gpu is not None
    assert opened.config.media is not None
    assert opened.config.media.remote["key"] == Secret("k3y")
    assert [str(w) for w in opened.warnings if "identityFile" not in str(w)] == []
    with pytest.raises(errors.ConfigError, match="is there already"):
        config_file.write_new(path, stack)
    with pytest.raises(errors.StackError, match="passphrase is wrong"):
        other = {"PULUMI_CONFIG_PASSPHRASE": "other"}
        config_file.load(path, config_file.stack_crypter(found, "kyrion", other))


def test_every_commented_line_of_a_new_file_is_right_when_uncommented(root):
    """What a newcomer is shown can be used as it stands."""
    text = config_file.render_new(new())
    for line in text.splitlines():
        body = line.strip().removeprefix("# ")
        name = body.partition(":")[0]
        indent = len(line) - len(line.lstrip())
        if not line.strip().startswith("# ") or ": " not in body or indent < 4 or " " in name:
            continue
        if name in ("host", "user", "hostKey"):
            continue  # of the jump host, which is a block; and a key that is only sketched
        uncommented = text.replace(line, " " * indent + body)
        (root / "Pulumi.kyrion.yaml").write_text(uncommented)
        config_file.load(root / "Pulumi.kyrion.yaml", None)


def test_the_project_file_says_where_program_and_provider_are(tmp_path):
    path = config_file.write_project(
        tmp_path, name="lab: one", main="/opt/x y/stacks", plugin_dir="/opt/bin", virtualenv="/opt"
    )
    data = YAML(typ="safe").load(path)
    assert data["name"] == "lab: one"
    assert data["main"] == "/opt/x y/stacks"
    assert data["plugins"]["providers"] == [{"name": "elysium", "path": "/opt/bin"}]
    assert data["options"]["refresh"] == "always"
    assert data["runtime"] == {"name": "python", "options": {"virtualenv": "/opt"}}
    before = path.read_text()
    config_file.write_project(tmp_path, name="other", main="m", plugin_dir="p")
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "# elysium's state and downloads\n.elysium/\n"),
        ("a", "a\n# elysium's state and downloads\n.elysium/\n"),
        ("/.elysium\n", "/.elysium\n"),
    ],
)
def test_state_is_ignored_by_git(tmp_path, before, after):
    if before is not None:
        (tmp_path / ".gitignore").write_text(before)
    assert config_file.ignore_state(tmp_path) is (before != after)
    assert (tmp_path / ".gitignore").read_text() == after
    assert not config_file.ignore_state(tmp_path)


@pytest.mark.parametrize(
    "value", ["plain", "two words", "~/.ssh/id", "yes", "1", "a: b", "# c", "", "é", "'", '"', "-"]
)
def test_texts_survive_yaml(value):
    assert YAML(typ="safe").load(f"k: {scalar(value)}")["k"] == value


def scalar(value: str) -> str:
    return scaffold.scalar(value)
