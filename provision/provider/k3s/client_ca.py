"""The authority that signs client certificates of k3s: replaced in two steps.

A client certificate cannot be revoked: what it opens is closed by another
authority only. First k3s gets a bundle, the new authority and then the old one:
it signs with the first and trusts both, so that every client can change over.
Then it gets the new one alone.

Facts (k3s' documentation, cli/certificate, and its source, pkg/server/handlers
and pkg/daemons/control/deps): ``k3s certificate rotate-ca`` takes a folder laid
out as the server's own; authorities that are not in it stay. It counts from
the next start on, when every certificate is made anew that the first authority
of the file, by its key id, did not sign. Without ``--force`` k3s wants a chain
to the old authority, whose key would have to be brought here for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from provision.change import Change
from provision.host import scripts, session
from provision.provider.k3s import files, service
from provision.secret import Secret

FINISH: Final = "finish"
"""The wish that takes the old authority away; any other asks for a new one."""
_TIMEOUT: Final = 60


def begins(inputs: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Return whether a new authority is asked for."""
    asked = inputs.get("clientRotation")
    return bool(asked) and asked not in (FINISH, state.get("clientRotated"))


def ends(found: str, inputs: Mapping[str, Any]) -> bool:
    """Return whether the old authority is to go, and is still there in `found`."""
    return inputs.get("clientRotation") == FINISH and under_way(found)


def under_way(found: str) -> bool:
    """Return whether the authorities `found` on the node (PEM) are a new one of ours and an old."""
    if _count(found) < 2:  # the usual case: nothing is parsed for it
        return False
    from provision.provider.k3s import certificates as k3s_certificates

    return k3s_certificates.is_ours(found)


def problem(found: str) -> str:
    """Return why the authorities `found` are not to be replaced here; empty when they may be."""
    from provision.provider.k3s import certificates as k3s_certificates

    if not _count(found):
        return "there is no authority for client certificates"
    if under_way(found):
        return ""
    if _count(found) > 1 or not k3s_certificates.signs_itself(found):
        return "client certificates are signed by an authority of your own"
    return ""


def _count(found: str) -> int:
    return found.count("-----BEGIN CERTIFICATE-----")


def plan(found: str, inputs: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the step that is asked for, with its restart."""
    restart = f"units.{files.UNIT_NAME}"
    if begins(inputs, state):
        return (
            Change(
                property="clientAuthority",
                action="update",
                summary="give k3s another authority for client certificates, beside the old one",
            ),
            Change(
                property=restart,
                action="restart",
                summary="restart k3s.service, which makes all client certificates anew then",
            ),
        )
    if ends(found, inputs):
        return (
            Change(
                property="clientAuthority",
                action="delete",
                summary="take the old authority for client certificates away",
            ),
            Change(
                property=restart,
                action="restart",
                summary="restart k3s.service, which refuses the old client certificates then",
            ),
        )
    return ()


def begin(node: session.NodeSession, inputs: Mapping[str, Any], found: str) -> None:
    """Have the running server take a new authority beside those `found`."""
    from provision.provider.k3s import certificates as k3s_certificates

    certificate, key = k3s_certificates.make()
    _hand_over(node, inputs, certificate + found.strip() + "\n", key)


def end(node: session.NodeSession, inputs: Mapping[str, Any], found: str) -> None:
    """Have the running server keep the first authority of `found` alone."""
    from provision.provider.k3s import certificates as k3s_certificates

    _hand_over(node, inputs, k3s_certificates.first(found), None)


def _hand_over(
    node: session.NodeSession, inputs: Mapping[str, Any], certificates: str, key: Secret | None
) -> None:
    """Give the server authorities, with the first one's key, or with the key it has."""
    at = files.places(inputs)
    service.mark_stale(node, at.client_authority)
    folder = f"{at.data}/server/elysium-rotate-ca"
    options = inputs.get("options") or {}
    command = [at.binary, "certificate", "rotate-ca", "--path", folder, "--force"]
    if options.get("data-dir"):
        command += ["--data-dir", at.data]
    if options.get("https-listen-port"):
        command += ["--server", f"https://127.0.0.1:{options['https-listen-port']}"]
    there, own = scripts.quote([folder]), scripts.quote([at.client_authority])
    take_key = (
        f"cp -p {own.removesuffix('.crt')}.key client-ca.key"
        if key is None
        else ("sed -n '/PRIVATE KEY/,/PRIVATE KEY/p' both >client-ca.key")
    )
    script = f"""
        umask 077
        rm -rf {there}
        trap 'rm -rf {there}' EXIT
        mkdir -p {there}/tls && cd {there}/tls || exit 1
        cat >both || exit 1
        sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' both >client-ca.crt || exit 1
        {take_key} || exit 1
        rm both || exit 1
        cd /
        unset K3S_TOKEN K3S_URL
        end=$(($(date +%s) + {_TIMEOUT}))
        # A server that was just started answers 500, "runtime core not ready".
        until said=$({scripts.quote(command)} 2>&1 >/dev/null); do
            case $said in
            *"not ready"*|*"connection refused"*)
                [ "$(date +%s)" -ge "$end" ] || {{ sleep 1; continue; }};;
            esac
            printf '%s\\n' "$said" >&2
            exit 1
        done
    """
    text = certificates + (key.reveal() if key is not None else "")
    node.run(
        script,
        stdin=text.encode(),
        timeout=2 * _TIMEOUT,
        what="giving k3s another authority for client certificates",
    )
