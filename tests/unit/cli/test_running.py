"""preview, up and destroy: what is asked, done, shown, and how it ends."""

from __future__ import annotations

import json
import os
import signal

import pytest

from provision import errors
from provision.cli.render import reporter
from provision.cli.settings import Settings
from provision.engine import events

PLAN = """\
 = stack elysium-kyrion
├──  = Node kyrion
│   ├──  ~ k3s kyrion  to change
│   │   ├── write /etc/rancher/k3s/config.yaml
│   │   ├── --- /etc/rancher/k3s/config.yaml
│   │   │   +++ /etc/rancher/k3s/config.yaml
│   │   │   @@ -1 +1,2 @@
│   │   │    node-name: kyrion
│   │   │   +disable: [traefik]
│   │   └── restart k3s
│   └──  + media mount media  to create
└── +- deploy key flux  to replace
    └── algorithm  (needs a replacement): "rsa" → "ed25519"

This takes something away:
  +- deploy key flux is replaced

2 to create, 1 to change, 1 to replace, 2 unchanged
"""


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_preview_prints_the_plan_on_stdout_and_progress_on_stderr(call, operations):
    outcome = call("preview")
    assert outcome.code == 0
    assert lines(outcome.out) == PLAN.splitlines()
    assert "checking node, GitHub and repository" in outcome.err
    assert operations.names == ["open_stack", "preflight", "preview"]
    assert operations.stack.closed


def test_preview_without_diffs_and_totals_only(call, operations):
    assert "@@" not in call("preview", "--no-diff").out
    assert "├" not in call("preview", "--summary").out


def test_verbose_shows_what_is_unchanged(call, operations):
    operations.preview_events = [
        e for e in operations.preview_events if getattr(e, "op", "same") == "same"
    ]
    assert "Node" not in call("preview").out
    assert "= Node kyrion" in call("preview", "-v").out


def test_preview_can_be_a_check(call, operations):
    outcome = call("preview", "--expect-no-changes")
    assert outcome.code == 5
    assert "error: there are changes" in outcome.err


def test_options_reach_the_engine(call, operations):
    call("preview", "--target", "media", "--target", "urn:a::b", "--parallel", "3")
    options = operations.calls[-1][1]["options"]
    assert options.targets == ("**::media", "urn:a::b")
    assert options.parallel == 3


@pytest.mark.parametrize("command", ["preview", "up"])
def test_everything_is_read_first_unless_told_not_to(call, operations, command):
    for arguments, reads in (((), True), (("--refresh",), True), (("--no-refresh",), False)):
        call(command, *arguments, *(["--yes"] if command == "up" else []))
        assert operations.calls[-1][1]["options"].refresh is reads


REFRESH = """\
 = stack elysium-kyrion
├──  = Node kyrion
│   └──  < media mount media  to read anew
│       └── options: "ro" → "rw"
└──  x deploy key flux  to forget

1 to read anew, 1 to forget, 2 unchanged
"""


def test_refresh_shows_what_differs_asks_and_writes_it(call, operations):
    outcome = call("refresh", "--target", "media", answers="y\n")
    assert outcome.code == 0
    assert [each for each in lines(outcome.err) if each in REFRESH.splitlines()] == (
        REFRESH.splitlines()
    )
    assert "Write this into the state? [y/N]" in outcome.err
    assert outcome.out == "1 read anew, 1 forgotten, 2 unchanged\n"
    asked = [given for name, given in operations.calls if name == "refresh"]
    assert [given["dry_run"] for given in asked] == [True, False]
    assert {given["options"].targets for given in asked} == {("**::media",)}


def test_refresh_declined_or_without_drift_writes_nothing(call, operations):
    assert "nothing was changed" in call("refresh", answers="n\n").err
    operations.refresh_events = [
        events.Prelude(operation="refresh", project="elysium", stack="kyrion"),
        events.Summary(counts={"same": 2}, seconds=0.2),
    ]
    assert "Write this" not in call("refresh", answers="").err
    assert {given.get("dry_run", True) for _, given in operations.calls} == {True}


def test_refresh_needs_an_answer_or_yes(call, operations):
    assert call("refresh").code == 2
    assert operations.names == []
    assert call("refresh", "--yes").code == 0
    assert operations.calls[-1][1]["dry_run"] is False


def test_global_options_before_and_after_the_command(call, operations, folder):
    call("--stack", "a", "--engine", "upstream", "-C", str(folder), "preview")
    call("preview", "--stack", "a", "--engine", "upstream", "-C", str(folder))
    first, second = [given for name, given in operations.calls if name == "open_stack"]
    assert first == second == {"directory": folder, "stack": "a", "engine": "upstream"}


def test_up_shows_the_plan_asks_and_does_it(call, operations):
    outcome = call("up", answers="y\n")
    assert outcome.code == 0
    assert operations.names == ["open_stack", "preflight", "preview", "up"]
    for line in PLAN.splitlines():
        assert line in lines(outcome.err)
    assert "Do this? [y/N]" in outcome.err
    assert "waiting until k3s is Ready" in outcome.err
    assert "~ k3s kyrion: changed in 12.3s" in outcome.err
    assert "warning: k3s kyrion: the clock is off by 3 s" in outcome.err
    assert "kyrion is up after 13.0s: 1 changed, 3 unchanged" in outcome.out
    for fact in ("v1.36.3+k3s1", "10 to share", "main@sha1:abc", "2 Ready: flux-system, apps"):
        assert fact in outcome.out
    assert "elysium kubeconfig --merge" in outcome.out
    assert "12.3s" in outcome.out


def test_up_declined_changes_nothing(call, operations):
    outcome = call("up", answers="n\n")
    assert outcome.code == 0
    assert "nothing was changed" in outcome.err
    assert "up" not in operations.names


def test_up_with_nothing_to_change_does_not_ask(call, operations):
    operations.preview_events = [
        events.Prelude(operation="preview", project="elysium", stack="kyrion"),
        events.Summary(counts={"same": 2}, seconds=0.2),
    ]
    outcome = call("up", answers="")
    assert outcome.code == 0
    assert "Do this?" not in outcome.err
    assert operations.names[-1] == "up"


def test_up_yes_does_not_preview(call, operations):
    outcome = call("up", "--yes")
    assert outcome.code == 0
    assert operations.names == ["open_stack", "preflight", "up"]
    assert "write /etc/rancher/k3s/config.yaml" in outcome.err


@pytest.mark.parametrize("command", ["up", "destroy"])
@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_nobody_to_ask_is_a_usage_error_before_anything_is_done(call, operations, command, json_):
    outcome = call(command, *json_)
    assert outcome.code == 2
    assert "give --yes" in outcome.err
    assert operations.calls == []


def test_no_answer_at_the_question(call, operations):
    outcome = call("up", answers="")
    assert outcome.code == 130
    assert "stopped at the question; nothing was changed" in outcome.err


def test_preflight_problems_are_all_listed(call, operations):
    operations.fails["preflight"] = errors.PreflightError(
        "2 things to put right before anything is changed",
        [
            errors.Problem(message="no systemd", where="node kyrion"),
            errors.Problem(message="no token", where="github me/elysium", hint="set one"),
        ],
        hint="run it again",
    )
    outcome = call("up", "--yes")
    assert outcome.code == 3
    assert "error: 2 things to put right" in outcome.err
    assert "  - node kyrion: no systemd\n  - github me/elysium: no token (set one)" in outcome.err
    assert "hint: run it again" in outcome.err
    assert "up" not in operations.names
    assert operations.stack.closed


def test_interrupted_names_the_step(call, operations):
    operations.fails["up"] = KeyboardInterrupt()
    outcome = call("up", "--yes")
    assert outcome.code == 130
    assert "interrupted during k3s kyrion (waiting until k3s is Ready)" in outcome.err
    assert "run it again" in outcome.err
    assert "Traceback" not in outcome.err


def test_interrupted_by_the_engine_in_its_own_words(call, operations):
    operations.fails["up"] = errors.InterruptedByUser("interrupted while creating media")
    outcome = call("up", "--yes")
    assert outcome.code == 130
    assert "error: interrupted while creating media" in outcome.err
    assert "run it again" in outcome.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_unwind_too(call, operations, number):
    before = signal.getsignal(number)

    def end(_stack: object, _progress: object) -> None:
        os.kill(os.getpid(), number)

    operations.preflight = end
    outcome = call("up", "--yes")
    assert outcome.code == 128 + number
    assert operations.stack.closed
    assert signal.getsignal(number) is before


def test_destroy_lists_losses_and_wants_the_name(call, operations):
    outcome = call("destroy", "--keep-data", answers="kyrion\n")
    assert outcome.code == 0
    assert "volume pvc-1 (media/plex) is deleted" in outcome.err
    assert "1 deleted" in outcome.out
    assert operations.calls[-1][1]["keep_data"] is True
    assert operations.calls[-2] == ("losses", {"keep_data": True})


def test_destroy_with_another_name_changes_nothing(call, operations):
    outcome = call("destroy", answers="kyrian\n")
    assert outcome.code == 2
    assert "that is not kyrion; nothing was changed" in outcome.err
    assert "destroy" not in operations.names


def test_destroy_yes(call, operations):
    assert call("destroy", "--yes").code == 0
    assert operations.names[-1] == "destroy"


def test_json_is_one_event_a_line_and_nothing_else_on_stdout(call, operations):
    outcome = call("up", "--yes", "--json")
    kinds = [json.loads(line)["event"] for line in outcome.out.splitlines()]
    assert kinds[0] == "step"
    assert kinds[1] == "prelude"
    assert kinds[-1] == "result"
    assert outcome.err == ""


def test_secrets_that_got_into_an_event_are_masked_everywhere(call, operations):
    leak = "sudo-swordfish and ghp_canary and correct horse"
    operations.up_events = [
        *operations.up_events[:-1],
        events.Diagnostic(severity="warning", message=leak),
        operations.up_events[-1],
    ]
    operations.preview_events.append(events.Diagnostic(severity="error", message=leak))
    for arguments in (["up", "--yes"], ["up", "--yes", "--json"], ["preview", "-vv"]):
        outcome = call(*arguments)
        both = outcome.out + outcome.err
        assert "***" in both
        for secret in ("swordfish", "canary", "horse"):
            assert secret not in both


def test_an_error_that_quotes_a_secret_is_masked(call, operations):
    operations.fails["up"] = errors.CommandError(
        "sudo failed", host="h", command="sudo", status=1, stderr="bad sudo-swordfish"
    )
    outcome = call("up", "--yes", "--debug")
    assert outcome.code == 4
    assert "swordfish" not in outcome.err
    assert "Traceback" in outcome.err


def test_configuration_warnings_are_shown_once(call, operations):
    operations.stack.warnings = (
        errors.Problem(message="no hostKey", where="Pulumi.kyrion.yaml:3"),
    )
    outcome = call("preview")
    assert outcome.err.count("warning: Pulumi.kyrion.yaml:3: no hostKey") == 1


def test_a_log_has_a_line_every_now_and_then_for_what_only_counts_on(folder, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(reporter.time, "monotonic", lambda: now[0])
    with reporter.of(Settings(color=False)) as listening:
        for second in range(31):
            now[0] = float(second)
            listening.step(f"kube-apiserver 1/8, {7 * second} packages compiled")
        listening.step("kubelet 2/8")
    shown = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert shown == [
        "kube-apiserver 1/8, 0 packages compiled",
        "kube-apiserver 1/8, 105 packages compiled",
        "kube-apiserver 1/8, 210 packages compiled",
        "kubelet 2/8",
    ]


def test_up_says_what_of_the_repository_is_not_ready_and_names_seeds(call, operations, monkeypatch):
    from provision.kube import wait
    from provision.operations import deploy, repository_health
    from provision.provider.flux import causes

    ref = wait.Ref(api_version="v1", kind="HelmRelease", name="plex", namespace="media")
    cause = causes.Cause(ref=ref, reason="InstallFailed: timed out")
    found = repository_health.Finding(cause=cause, failing=True)
    off = {"Kustomization flux-system/apps": "flux resume kustomization apps -n flux-system"}
    report = repository_health.Report(findings=(found,), total=20, unready=16, suspended=off)
    real = operations.up

    def up(*arguments, **more):
        done = real(*arguments, **more)
        seeds = ("Secret flux-system/vars",)
        return deploy.UpResult(result=done.result, steps=(), seeds=seeds, repository=report)

    operations.up = up
    outcome = call("up", "--yes")
    assert outcome.code == 0
    assert "2 Ready: flux-system, apps" in outcome.out
    assert "16 of 20 not ready" in outcome.out
    assert "✗ HelmRelease media/plex: InstallFailed: timed out" in outcome.out
    assert "~ Kustomization flux-system/apps is suspended" in outcome.out
    assert "hint: flux resume kustomization apps -n flux-system" in outcome.out
    assert "Secret flux-system/vars" in outcome.out
    last = json.loads(call("up", "--yes", "--json").out.splitlines()[-1])
    assert last["seeds"] == ["Secret flux-system/vars"]
    assert last["notReady"] == [
        "HelmRelease media/plex: InstallFailed: timed out",
        "Kustomization flux-system/apps is suspended",
    ]


def test_up_does_not_say_that_all_is_well_while_a_component_fails(call, operations):
    from provision.operations import deploy, workloads

    failing = "CoreDNS: 0 of 1 replicas available (pod coredns-1: ImagePullBackOff)"
    starting = "Traefik: Job kube-system/helm-install-traefik installs it: 0 of 1"
    finding = workloads.Finding(
        title="components of k3s",
        health="failed",
        facts=(("CoreDNS", "not ready"), ("Traefik", "missing")),
        problems=(starting, failing),
        hints=("kubectl -n kube-system get pods",),
        under_way=frozenset({starting}),
    )
    real = operations.up

    def up(*arguments, **more):
        done = real(*arguments, **more)
        return deploy.UpResult(result=done.result, steps=(), components=finding)

    operations.up = up
    outcome = call("up", "--yes")
    assert outcome.code == 0
    shown = " ".join(outcome.out.split())
    assert "of k3s' components this is not ready" in shown
    assert "CoreDNS not ready, Traefik missing" in shown
    assert f"✗ {failing} ~ {starting}" in shown
    assert "hint: kubectl -n kube-system get pods" in shown
    last = json.loads(call("up", "--yes", "--json").out.splitlines()[-1])
    assert last["notReady"] == [failing, starting]
