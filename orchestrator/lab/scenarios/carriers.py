"""Carriers that want an account: registration, and proofs of who calls (decision 0011)."""

from __future__ import annotations

from orchestrator.lab import addresses, leg, story
from orchestrator.lab.scenarios import openings

SITE = "03-trunks"

_MEDIA = ("MED-1", "MED-2", "MED-3", "MED-4", "MED-11", "MED-15")


async def registers_at_the_world(told: story.Story) -> str:
    """The carrier knows where the SBC is, and a call to the Contact it got goes where To says."""
    lab = told.lab
    binding = await lab.registrar.registered(within=15.0)
    wanted = f"sip:{addresses.REGISTRAR_USER}@{addresses.SBC_LAN}:{addresses.SBC_SIP_PORT}"
    if not binding.contact.startswith(wanted):
        raise story.Failed(f"the SBC registered the Contact {binding.contact}")
    registering = [p for p in lab.registrar.proofs.entries if p.method == "REGISTER"]
    if not registering or not all(proof.right and proof.rose for proof in registering):
        raise story.Failed(f"the proofs of the registration were {registering}")
    caller = await lab.registrar.dial_binding(
        addresses.TEAMS_NUMBER, caller=addresses.REGISTRAR_NUMBER
    )
    told.track("registrar hears Teams", caller)
    callee = await lab.teams.next_leg()
    told.track("Teams hears the registrar", callee)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "registered with a proof, called by the carrier, audio both ways, Teams hung up"


async def world_asks_who_calls(told: story.Story) -> str:
    """The carrier asks by 407, once; each later request of Teams has the next CSeq there."""
    lab = told.lab
    before = len(lab.registrar.proofs.entries)
    caller, callee = await openings.teams_to_trunk(told, lab.registrar, addresses.REGISTRAR_NUMBER)
    proofs = lab.registrar.proofs.entries[before:]
    if [(proof.right, proof.rose) for proof in proofs] != [(True, True)]:
        raise story.Failed(f"the carrier asked who calls and got {proofs}")
    await told.connect(caller, callee)
    await told.listen(story.TALK // 2)
    refreshed = await caller.call.renegotiate(caller.call.local_sdp)
    if refreshed.status != 200:
        raise story.Failed(f"the refresh was answered by {refreshed.start_line}")
    await told.talk(story.TALK + story.TALK // 2)
    await openings.hang_up(caller, callee)
    _check_numbers(caller, callee)
    if any(answer.status == 407 for answer in caller.call.responses.entries):
        raise story.Failed("Teams saw the carrier's 407")
    return "proven once, the CSeq one higher from the INVITE to the BYE, audio both ways"


async def world_asks_again_and_again(told: story.Story) -> str:
    """The carrier asks for a proof of the refresh and of the BYE as well."""
    lab = told.lab
    async with lab.registrar.suspicious():
        caller, callee = await openings.teams_to_trunk(
            told, lab.registrar, addresses.REGISTRAR_NUMBER
        )
        await told.connect(caller, callee)
        await told.listen(story.TALK // 2)
        before = len(lab.registrar.proofs.entries)
        refreshed = await caller.call.renegotiate(caller.call.local_sdp)
        if refreshed.status != 200:
            raise story.Failed(f"the refresh was answered by {refreshed.start_line}")
        await told.talk(story.TALK + story.TALK // 2)
        await openings.hang_up(caller, callee)
    proofs = [(p.method, p.right, p.rose) for p in lab.registrar.proofs.entries[before:]]
    if proofs != [("INVITE", True, False), ("BYE", True, True)]:
        raise story.Failed(f"the carrier asked within the call and got {proofs}")
    return "proven for the call, its refresh and its end, audio both ways"


async def world_is_busy_or_slow(told: story.Story) -> str:
    """After a proof, ACK and CANCEL have the CSeq of the INVITE that carries it (RFC 3261 9.1)."""
    lab = told.lab
    caller, callee = await openings.teams_to_trunk(told, lab.registrar, addresses.REGISTRAR_NUMBER)
    callee.refuse(486)
    answer = await caller.connected()
    await callee.confirmed()
    if (answer.status, answer.cseq.number) != (486, caller.call.invite.cseq.number):
        raise story.Failed(f"the carrier was busy, Teams got {answer.start_line}")
    caller, callee = await openings.teams_to_trunk(told, lab.registrar, addresses.REGISTRAR_NUMBER)
    await openings.cancel(caller, callee)
    given_up = next(r for r in callee.call.requests.entries if r.method == "CANCEL")
    if given_up.cseq.number != callee.call.invite.cseq.number:
        raise story.Failed(f"CANCEL has CSeq {given_up.cseq.number}")
    return "busy and acknowledged, then cancelled, each with the number of its INVITE"


async def secure_calls_world(told: story.Story) -> str:
    """TLS and SRTP on one side, UDP, plain audio and a proof on the other; the PBX hangs up."""
    lab = told.lab
    caller, callee = await openings.trunk_to_trunk(
        told, lab.secure, addresses.SECURE_NUMBER, lab.registrar, addresses.REGISTRAR_NUMBER
    )
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(caller, callee)
    _check_numbers(caller, callee)
    return "TLS to UDP, SRTP to RTP, proven once, audio both ways, the PBX hung up"


async def world_hangs_up(told: story.Story) -> str:
    """The carrier's own requests count for themselves, and reach the phone at home."""
    lab = told.lab
    await openings.register(lab, lab.home)
    caller = await lab.home.dial(addresses.REGISTRAR_NUMBER)
    told.track("the phone at home hears the carrier", caller)
    callee = await lab.registrar.next_leg()
    told.track("the carrier hears the phone at home", callee)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "a phone behind NAT called, proven once, audio both ways, the carrier hung up"


async def home_calls_secure(told: story.Story) -> str:
    """A phone behind NAT and a PBX over TLS that encrypts its audio."""
    lab = told.lab
    await openings.register(lab, lab.home)
    caller = await lab.home.dial(addresses.SECURE_NUMBER)
    told.track("the phone at home hears the PBX", caller)
    callee = await lab.secure.next_leg()
    told.track("the PBX hears the phone at home", callee)
    await told.connect(caller, callee)
    await told.talk()
    await openings.hang_up(callee, caller)
    return "NAT to TLS, RTP to SRTP, audio both ways, the PBX hung up"


async def world_is_not_told_twice(told: story.Story) -> str:
    """A carrier that does not take our password is asked no more, and Teams gets 503."""
    lab = told.lab
    before = len(lab.registrar.proofs.entries)
    async with lab.registrar.forgetful():
        caller = await lab.teams.dial(addresses.REGISTRAR_NUMBER, caller=addresses.TEAMS_NUMBER)
        answer = await caller.connected()
    tried = len(lab.registrar.proofs.entries) - before
    if answer.status != 503 or tried != 1:
        raise story.Failed(f"after {tried} proofs Teams got {answer.start_line}")
    return "the password was refused once, Teams got 503"


def _check_numbers(caller: leg.OutgoingLeg, callee: leg.IncomingLeg) -> None:
    """The callee sees each CSeq of the caller one higher, the caller sees its own."""
    invite = caller.call.invite.cseq.number
    if callee.call.invite.cseq.number != invite + 1:
        raise story.Failed("the INVITE with the proof has not the next CSeq")
    for answer in caller.call.responses.entries:
        if answer.cseq.number != invite:
            raise story.Failed(f"the caller got an answer to CSeq {answer.cseq.number}")
    assert caller.call.dialog is not None
    last = callee.call.requests.entries[-1]
    if last.cseq.number != caller.call.dialog.number + 1:
        raise story.Failed(f"{last.method} has CSeq {last.cseq.number} at the callee")


SCENARIOS: tuple[story.Scenario, ...] = (
    story.Scenario(
        "carrier-registration",
        "the SBC registers at a carrier, which calls it",
        ("SIG-1", "SIG-2", "SIG-7", "SIG-9", *_MEDIA),
        registers_at_the_world,
        site=SITE,
    ),
    story.Scenario(
        "carrier-asks",
        "a carrier asks who calls",
        ("SIG-20", "SIG-21", "SIG-30", "SIG-35", *_MEDIA),
        world_asks_who_calls,
        site=SITE,
    ),
    story.Scenario(
        "carrier-asks-always",
        "a carrier asks for each request",
        ("SIG-30",),
        world_asks_again_and_again,
        site=SITE,
    ),
    story.Scenario(
        "carrier-asks-busy",
        "a carrier that asks is busy, or slow",
        ("SIG-25",),
        world_is_busy_or_slow,
        site=SITE,
    ),
    story.Scenario(
        "carrier-refuses-password",
        "a carrier does not take the password",
        ("SIG-26",),
        world_is_not_told_twice,
        site=SITE,
    ),
    story.Scenario(
        "secure-to-carrier",
        "a PBX over TLS calls a carrier that asks",
        ("SIG-35",),
        secure_calls_world,
        site=SITE,
    ),
    story.Scenario(
        "carrier-hangs-up",
        "a carrier that asks is called from behind NAT",
        ("SIG-35",),
        world_hangs_up,
        site=SITE,
    ),
    story.Scenario(
        "home-to-secure",
        "a phone behind NAT calls a PBX over TLS",
        ("SIG-35",),
        home_calls_secure,
        site=SITE,
    ),
)
"""In the order they are told."""
