"""The verbs of `sbcctl cert`, on engines that serve, with a real CA and a real listener."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path

import acme_ground
import bad_pairs
import certs
import ground
import lanes
import pytest
import ways

pytestmark = [pytest.mark.engine, pytest.mark.slow(25)]

FILES = "certificate:\n  files: {{chain: {folder}/sbc.chain, key: {folder}/sbc.key}}"
ACME = (
    "certificate: {acme: {email: ops@example.com, directory: https://acme.example.net/dir,"
    " fallback: {directory: https://acme2.example.net/dir}}}"
)


@pytest.fixture
def machine(lane: str, tmp_path_factory) -> Iterator[ground.Ground]:
    with ground.Ground(tmp_path_factory.mktemp("v"), lanes.root(lane)) as made:
        yield made


def cert(machine: ground.Ground, *words: str, code: int = 0):
    return machine.run(*machine.words("cert", *words), code=code)


def listed(machine: ground.Ground, code: int = 0) -> dict:
    return json.loads(cert(machine, "list", "-o", "json", code=code).stdout)


GUIDE = Path(__file__).parents[1] / "docs/guide/certificates.md"
MOVING = (
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9:]{5}Z)?", "DATE"),
    (r"(?<= )[0-9]+(?= days left)", "DAYS"),
    (r"served +[0-9]+", "served DAYS"),
    (r"(?<=[/ ])[^ ]*(?=/sbc[.])", "FOLDER"),
    (r"((?:serial|SHA-256) +)[0-9a-f]+", r"\1HEX"),
    (r"\b[0-9a-f]{12}\b", "NAME"),
)


def still(text: str) -> str:
    """A text without what is another one each time."""
    for pattern, word in MOVING:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return re.sub(r"^[^ ]*(?=FOLDER/sbc)|^/[^ ]*(?=/sbc)", "", text.rstrip(), flags=re.MULTILINE)


def check_guide(machine: ground.Ground) -> None:
    """What the page shows is what is said."""
    blocks = re.findall(r"^```console\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    shown = re.findall(r"^\$ sbcctl cert (.+)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.MULTILINE)
    assert [words for words, _ in shown] == ["list", "show", "deploy --test", "deploy"]
    for words, said in shown:
        assert still(cert(machine, *words.split()).stdout) == still(said)


def test_files_are_proven_shown_installed_and_seen_on_the_wire(machine):
    """Bring your own: nothing happens by itself until there is a new pair, and then it does."""
    assert "nothing is applied on this machine" in cert(machine, "list", code=6).stderr
    machine.apply()
    seen = listed(machine)
    [first] = seen["certificates"]
    assert first["on_wire"]
    assert first["key"] == "RSA 2048"
    assert first["usages"] == ["serverAuth"]
    assert "put a new pair into the files by" in seen["next"]
    check_guide(machine)
    quiet = cert(machine, "renew")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    machine.write_pair("sbc", "sbc.example.com", number=3)
    test = cert(machine, "deploy", "--test").stdout
    assert "can serve sbc.example.com" in test
    assert listed(machine)["served"] == first["serial"]
    done = json.loads(cert(machine, "deploy", "-o", "json").stdout)
    assert done["steps"][0]["kind"] == "install-certificate"
    seen = listed(machine)
    assert seen["served"] != first["serial"]
    assert [each["in_use"] for each in seen["certificates"]] == [True, False]
    assert f"certificate {first['name']}  kept" in cert(machine, "show", first["name"]).stdout
    shown = cert(machine, "show").stdout
    assert "Test CA, EC 256" in shown
    assert "which no root of this machine is" in shown
    assert cert(machine, "renew").stdout == ""
    say_that_it_is_late(machine)
    seen = listed(machine)
    refuse_bad_pairs(machine, seen["served"])


def say_that_it_is_late(machine: ground.Ground) -> None:
    """Nobody replaced the files in the last third of their life (REN-3)."""
    days = dt.timedelta(days=1)
    leaf = machine.ca.leaf("sbc.example.com", key=certs.rsa_key(3), begin=-60 * days, end=9 * days)
    (machine.folder / "sbc.chain").write_bytes(leaf + machine.ca.pem)
    assert "a new certificate serves" in cert(machine, "deploy").stdout
    late = cert(machine, "renew")
    assert late.stdout == ""
    assert "sbc.chain holds no newer one" in late.stderr


def refuse_bad_pairs(machine: ground.Ground, served: str) -> None:
    """By cert deploy, by --test with any two files, and by cert renew; the old one goes on."""
    kinds = {kind: (chain, key, said) for kind, chain, key, said in bad_pairs.PAIRS}
    for kind in ("stands alone", "several keys"):
        chain, key, said = kinds[kind]
        for name, content in (("sbc.chain", chain), ("sbc.key", key)):
            (machine.folder / name).write_bytes(content)
        assert said in cert(machine, "deploy", code=3).stderr
        assert said in cert(machine, "renew", code=3).stderr
        files = (str(machine.folder / "sbc.chain"), str(machine.folder / "sbc.key"))
        assert said in cert(machine, "deploy", "--test", *files, code=1).stderr
    assert listed(machine)["served"] == served
    assert "are proven with --test only" in cert(machine, "deploy", *files, code=64).stderr
    machine.run("sh", "-c", "pkill -9 kamailio")
    assert "disk = wire: no" in cert(machine, "list", code=1).stdout


@pytest.mark.parametrize("lane", ways.LANES)
def test_acme_is_renewed_when_the_ca_says_so_and_silent_until_then(machine):
    """ARI is asked and remembered; a window that has begun renews; failures are counted."""
    acme_ground.start_front(machine)
    machine.write_site((FILES.format(folder=machine.folder), ACME))
    machine.apply()
    quiet = cert(machine, "renew")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    noted = json.loads((machine.state / "renewal.json").read_text())
    assert noted["window"]["begin"] < noted["window"]["end"]
    seen = listed(machine)
    assert "the CA's window (ARI)" in seen["next"]
    journal = machine.folder / "acme.example.net.journal"
    said = journal.read_text().count("renewal-info")
    assert said == 1
    cert(machine, "renew")
    assert journal.read_text().count("renewal-info") == said
    # The CA wants it back now: a revocation is coming.
    now = dt.datetime.now(dt.UTC)
    window = {
        "start": (now - dt.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": (now - dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    acme_ground.set_mood(machine, renewal=window)
    noted["ask_again"] = now.isoformat()
    (machine.state / "renewal.json").write_text(json.dumps(noted))
    assert "a new certificate serves" in cert(machine, "renew").stdout
    again = listed(machine)
    assert again["served"] != seen["served"]
    assert json.loads((machine.state / "renewal.json").read_text())["failed"] == []
    machine.start_acme("acme2.example.net")
    test = cert(machine, "renew", "--staging=https://acme2.example.net/dir").stdout
    assert "gave a certificate that could serve" in test
    assert listed(machine)["served"] == again["served"]
    limit_failures(machine, again["served"])


def limit_failures(machine: ground.Ground, served: str) -> None:
    """Four in an hour; a time that the CA names is waited for, and the old one serves."""
    acme_ground.set_mood(machine, closed=True)
    for _ in range(4):
        assert "no certificate for sbc" in cert(machine, "renew", "--force", code=1).stderr
    refused = cert(machine, "renew", "--force", code=1).stderr
    assert "no CA is asked for a certificate for sbc.example.com before" in refused
    assert "4 attempts failed within an hour" in refused
    (machine.state / "renewal.json").unlink()
    limited = {"status": 429, "type": "rateLimited", "retry_after": "7200"}
    acme_ground.set_mood(machine, refuse={"newOrder": limited})
    assert "no certificate" in cert(machine, "renew", "--force", code=1).stderr
    assert "the CA asks for patience" in cert(machine, "renew", "--force", code=1).stderr
    seen = listed(machine)
    assert seen["served"] == served
    assert seen["decision"]["do"] == "nothing"
    ask_the_second(machine, served)


def ask_the_second(machine: ground.Ground, served: str) -> None:
    """The first CA has given nothing for a day."""
    noted = json.loads((machine.state / "renewal.json").read_text())
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=25)
    noted["failed"][0]["at"] = long_ago.isoformat()
    (machine.state / "renewal.json").write_text(json.dumps(noted))
    assert "acme2.example.net" in cert(machine, "renew", "--force").stderr
    assert listed(machine)["served"] != served
    assert cert(machine, "renew").stdout == ""
