"""Break the SBC on purpose, and the lab names the rule that was broken.

The lab runs from a copy of this project in which some lines are wrong: real engines, real calls.
Lines that do not hide each other's faults are broken together, because a lab takes a while.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import certs
import labs
import lanes
import pytest

pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.slow]

PROJECT = Path(__file__).resolve().parents[2]
ROUTES = "templates/kamailio/routes"
TRUNKS = "orchestrator/render/trunks.py"


IDENTITY = f"{ROUTES}/identity.cfg.j2"
CALLERS = f"{ROUTES}/callers.cfg.j2"
TRANSFER = f"{ROUTES}/transfer.cfg.j2"
EVENTS = f"{ROUTES}/events.cfg.j2"
SITE = "examples/01-one-pbx/site.yaml"
TLS = "templates/kamailio/tls.cfg.j2"

PAIR = """certificate = {{ tls.pair | path }}chain.pem
private_key = {{ tls.pair | path }}key.pem
"""
SERVERS_PAIR = f'{{% if tls.end == "server" %}}\n{PAIR}{{% endif %}}\n'

ACME = """  acme:
    email: ops@example.com
    # The lab's CA; leave this line out for Let's Encrypt:
    directory: https://acme.example.net/dir
"""
SELF_MADE = "  files: {chain: PLACE/wrong.chain, key: PLACE/wrong.key}\n"


@dataclass(frozen=True)
class Mutation:
    """One wrong line and the rule it breaks."""

    rule: str
    file: str
    old: str
    new: str = ""


@dataclass(frozen=True)
class Group:
    """Lines that are broken together, and the stories that meet them."""

    stories: tuple[str, ...]
    mutations: dict[str, Mutation]


GROUPS = (
    Group(
        ("options",),
        {
            "an address in the Contact of OPTIONS": Mutation(
                "OPT-3",
                EVENTS,
                "Contact: <sip:{{ k.fqdn | host }}",
                "Contact: <sip:{{ k.teams_bind | host }}",
            ),
            "no Allow in OPTIONS": Mutation(
                "OPT-7", EVENTS, 'append_hf("Allow', 'append_hf("X-Allow'
            ),
        },
    ),
    Group(
        ("options",),
        {
            "no Contact in OPTIONS": Mutation(
                "OPT-3", EVENTS, 'append_hf("Contact', 'append_hf("X-Contact'
            ),
        },
    ),
    Group(
        ("options",),
        {
            "no certificate when we dial": Mutation("TLS-5", TLS, PAIR, SERVERS_PAIR),
        },
    ),
    Group(
        ("options",),
        {
            "a certificate of a CA nobody knows": Mutation("CERT-6", SITE, ACME, SELF_MADE),
        },
    ),
    Group(
        ("pbx-to-teams",),
        {
            "suites nobody wants, NULL among them": Mutation("MED-3", TRUNKS, " {suites}"),
            "a key without lifetime": Mutation("MED-4", TRUNKS, "SDES-lifetime"),
            "the PBX's Contact shown to Teams": Mutation(
                "SIG-35", IDENTITY, "        route(MASK);\n"
            ),
            "the PBX's caller shown to Teams": Mutation(
                "SIG-2", CALLERS, "$var(shown)@{{ k.fqdn", "$var(shown)@{{ k.teams_bind"
            ),
            "an address in Record-Route": Mutation(
                "SIG-5",
                f"{ROUTES}/dialog.cfg.j2",
                '$var(us) = "{{ k.fqdn | host }}',
                '$var(us) = "{{ k.teams_bind | host }}',
            ),
            "100rel towards Teams": Mutation("SIG-13", IDENTITY, '    remove_hf("Supported");\n'),
            "who calls, with an address": Mutation(
                "SIG-35", IDENTITY, '    remove_hf("Remote-Party-ID");\n'
            ),
            "the caller's own Route passed on": Mutation(
                "SIG-35", f"{ROUTES}/calls.cfg.j2", '    remove_hf("Route");\n'
            ),
            "REFER in Allow": Mutation("XF-1", IDENTITY, "OPTIONS, NOTIFY", "REFER, NOTIFY"),
        },
    ),
    Group(
        ("teams-to-pbx", "busy-teams"),
        {
            "plain RTP to Teams": Mutation("MED-2", TRUNKS, 'f"RTP/SAVP {', 'f"RTP/AVP {'),
            "a Contact that came back changed": Mutation(
                "SIG-12", IDENTITY, "$ru = $var(contact);", "$ru = $(var(contact){s.tolower});"
            ),
            "Microsoft's headers shown to the PBX": Mutation(
                "SIG-35", IDENTITY, "^(X-MS-|ms-", "^(X-Nothing-|ms-"
            ),
            "Microsoft's attributes shown to the PBX": Mutation(
                "MED-11", f"{ROUTES}/media.cfg.j2", "a=(x-|label:", "a=(nothing:"
            ),
            "the cause of no circuit for busy": Mutation(
                "SIG-16", f"{ROUTES}/media.cfg.j2", 'remove_hf("Reason")', 'remove_hf("X")'
            ),
        },
    ),
)
GROUPS += (
    Group(
        ("late-teams",),
        {
            "an offer of a 200 taken for an answer": Mutation(
                "MED-11", f"{ROUTES}/media.cfg.j2", "isflagset(late)", "isflagset(late) && 0 == 1"
            ),
        },
    ),
    Group(
        ("late-trunk",),
        {
            "a late offer under the tags of an early one": Mutation(
                "MED-7", f"{ROUTES}/media.cfg.j2", "route(LATE_TAGS);", "route(MEDIA_TAGS);"
            ),
        },
    ),
    Group(
        ("media-moves",),
        {"the port moves": Mutation("MED-6", TRUNKS, " port-latching", "")},
    ),
    Group(
        ("hold-pbx",),
        {
            "sendonly shown to Teams": Mutation(
                "SIG-32", f"{ROUTES}/media.cfg.j2", "a=(sendonly|recvonly)/", "a=(sendnothing)/"
            ),
            "the zero address shown to Teams": Mutation(
                "MED-10",
                f"{ROUTES}/media.cfg.j2",
                '$avp(sdp_in) =~ "IN IP4 0',
                '$avp(sdp_in) =~ "IN IP4 nobody',
            ),
        },
    ),
    Group(
        ("hold-pbx", "hold-port"),
        {
            "port 0 shown to Teams": Mutation(
                "MED-6", f"{ROUTES}/media.cfg.j2", "m=audio +[1-9]", "m=audio +[0-9]"
            ),
            "a hold that Teams does not understand": Mutation(
                "MED-10", f"{ROUTES}/media.cfg.j2", "a=(sendonly|recvonly)/", "a=(sendonly)/"
            ),
            "a hold by the address 0.0.0.0": Mutation(
                "SIG-32",
                f"{ROUTES}/media.cfg.j2",
                'if ($avp(sdp_in) =~ "IN IP4 0',
                'if ($rd =~ "x',
            ),
        },
    ),
    Group(
        ("caller-private", "caller-main", "history-not-for-teams"),
        {
            "an identity told to a carrier": Mutation(
                "SIG-23",
                CALLERS,
                'param.value,trust}) != "1") {',
                'param.value,set}) == "") {',
            ),
            "Microsoft's product shown to a trunk": Mutation(
                "SIG-35", IDENTITY, '    remove_hf("Server");\n'
            ),
            "who forwarded, told to Teams": Mutation(
                "SIG-8", IDENTITY, '    remove_hf("Diversion");\n'
            ),
            "names that are not given back": Mutation(
                "SIG-12", "templates/kamailio/kamailio.cfg.j2", '_mode", "auto"', '_mode", "none"'
            ),
        },
    ),
    Group(
        ("numbers-national",),
        {
            "a national number shown to Teams": Mutation(
                "SIG-1", f"{ROUTES}/numbers.cfg.j2", "= $var(full);", "= $var(number);"
            ),
        },
    ),
    Group(
        ("location",),
        {
            "a location that is named and not there": Mutation(
                "EM-1", IDENTITY, "ms-|Geolocation)", "ms-)"
            ),
        },
    ),
    Group(
        ("refer-refused", "transfer-user"),
        {
            "REFER offered where nobody carries it out": Mutation(
                "XF-1", TRANSFER, '{param.value,transfer}) == "refer"', '{param.value,set}) != ""'
            ),
            "Referred-By in small letters": Mutation(
                "XF-2", TRANSFER, "by) = $var(by);", "by) = $(var(by){s.tolower});"
            ),
        },
    ),
)
CASES = [(name, number) for number, group in enumerate(GROUPS) for name in group.mutations]


# Of the session, because pytest tells the tests of one lane before those of the next.
@pytest.fixture(scope="session")
def side_by_side(request, tmp_path_factory):
    """A lab of a broken copy for each group and lane that is tested."""
    wanted = [
        item.callspec.params for item in request.session.items if item.path == Path(__file__)
    ]
    keys = [(each["number"], each["lane"]) for each in wanted if not lanes.missing(each["lane"])]
    places = {key: tmp_path_factory.mktemp("mutant") for key in dict.fromkeys(keys)}

    def work(key):
        number, lane = key
        group = GROUPS[number]
        place = mutant(group, places[key])
        return labs.run(place, group.stories, lane, report=place / "report.html", timeout=180)

    running = labs.SideBySide(places, work)
    yield running
    running.close()


# The lab that must notice is the same on every lane.
@pytest.mark.parametrize("lane", lanes.floor(), indirect=True)
@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_broken_sbc_is_named(name, number, lane, side_by_side):
    """A story fails, and the rule is among the ones it names."""
    told = side_by_side.told((number, lane))
    named = {broken["id"] for outcome in told["calls"] for broken in outcome["broken"]}
    assert GROUPS[number].mutations[name].rule in named
    assert not told["ok"]


def mutant(group: Group, place: Path) -> Path:
    """A copy of the project with the lines of a group broken."""
    for folder in ("orchestrator", "rtpengine_ng", "templates", "examples"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / folder, place / folder, ignore=ignore)
    ca, key = certs.Ca(), certs.rsa_key()
    (place / "wrong.chain").write_bytes(ca.leaf("sbc.example.com", key=key) + ca.pem)
    (place / "wrong.key").write_bytes(certs.pem_key(key))
    for name, mutation in group.mutations.items():
        file = place / mutation.file
        text = file.read_text()
        assert mutation.old in text, f"{name}: the line to break is not there any more"
        file.write_text(text.replace(mutation.old, mutation.new.replace("PLACE", str(place))))
    return place
