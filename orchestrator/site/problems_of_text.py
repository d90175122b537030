"""Kinds of Problems with the text of site.yaml and its single values; see ``problems``."""

from __future__ import annotations

from orchestrator.site.problem_kind import Kind

OF_YAML = {
    "yaml": Kind(
        "The text is not YAML, and the place is where the parser could not go on.",
        "What stands behind that place cannot be known.",
        "Look at the line shown and the one above it: an indent, a colon without a blank behind "
        "it, or a quote that was left out.",
        "trunks:\n  office:\n    kind: pbx",
    ),
    "not-utf8": Kind(
        "A byte is in the file that UTF-8 does not have.",
        "Another encoding would turn one letter into another without a word.",
        "Save the file as UTF-8 in your editor.",
    ),
    "bad-character": Kind(
        "A character stands in the file that most editors do not show.",
        "Engines would read it as part of a name or as the end of a line.",
        "Delete it; the place says where. Blanks instead of tabs, no escapes such as \\n.",
    ),
    "file-too-large": Kind(
        "The file is larger than any site, or all included files together are.",
        "A limit keeps a wrong file from taking the memory of the machine.",
        "Check that it is the right file; otherwise include files of tenants, or spread the "
        "trunks over several sites.",
        "tenants:\n  include: tenants.d/*.yaml",
    ),
    "too-many-values": Kind(
        "The file has more keys and values than a site can have, or all included files together "
        "have.",
        "A limit keeps a wrong file from taking the memory of the machine.",
        "Include files of tenants, spread the trunks over several sites, or use fewer aliases.",
        "tenants:\n  include: tenants.d/*.jsonl",
    ),
    "json": Kind(
        "A line of a .jsonl file is not JSON.",
        "Such a file has one tenant in each line, and this one cannot be read.",
        "Look at the line shown: text stands in double quotes, and no comma is last.",
        'tenants: {"acme": {"fqdn": "acme.sbc.example.com", "numbers": ["+493055500"]}}',
    ),
    "tenant-twice": Kind(
        "Two of the files of a site have a tenant of the same name, or one file has it twice.",
        "One of the two would be lost without a word.",
        "Keep one of the two; the hint names the place of the first.",
    ),
    "include-nothing": Kind(
        "No file matches a glob of tenants.include.",
        "A folder that was moved or mistyped would leave all its tenants without calls.",
        "Correct the glob, or remove it; it begins at the folder of site.yaml.",
        "tenants:\n  include: tenants.d/*.yaml",
    ),
    "include-unreadable": Kind(
        "A file that tenants.include names cannot be read.",
        "Its tenants would be left without calls.",
        "Let the user who runs sbcctl read it, or give a glob that leaves it out.",
    ),
    "include-from-nowhere": Kind(
        "tenants.include stands in a site that comes from standard input.",
        "Globs begin at the folder of site.yaml, and there is none.",
        "Give the path of site.yaml instead of -.",
    ),
    "include-within": Kind(
        "An included file has a tenant called include.",
        "Files that include files would go round in circles, so only site.yaml includes.",
        "List all globs under tenants.include of site.yaml.",
        "tenants:\n  include: [tenants.d/*.yaml, generated/*.jsonl]",
    ),
    "too-many-files": Kind(
        "tenants.include names more files than are read, or looks into more folders.",
        "A limit keeps a glob that is too wide from reading the whole disk.",
        "Put several tenants into one file, or all into one .jsonl; begin ** at their folder.",
    ),
    "too-many-aliases": Kind(
        "Aliases (*name) are used very often, or stand for very much.",
        "A few lines of aliases can stand for millions of values.",
        "Write the values out.",
    ),
    "too-deep": Kind(
        "Brackets, braces or indents are nested deeper than any site.",
        "Most of all it is a bracket that was not closed, or a file of another program.",
        "Look for the bracket; a site is six levels deep at most.",
    ),
    "several-documents": Kind(
        "The line --- begins a second document in the same file.",
        "One file is one site; sbcctl would have to guess which one is meant.",
        "Remove the line, or keep the other site in a file of its own.",
    ),
    "open-quote": Kind(
        "A quote ends on another line than it begins on.",
        "A quote that was forgotten swallows the lines up to the next one.",
        "Close the quote on its line.",
        'number: "+493055500"',
    ),
    "bad-key": Kind(
        "Something stands where a key belongs and is none.",
        "Every key of a site is a word.",
        "Braces and brackets that are meant as text go into quotes.",
        'trunks: {"office": {kind: pbx}}',
    ),
    "duplicate-key": Kind(
        "The same key stands twice under one parent.",
        "YAML parsers keep one of the two silently, and it may be the wrong one.",
        "Keep one of the two; the hint names the line of the first.",
    ),
    "merge-key": Kind(
        "The merge key << is used.",
        "It hides where a value comes from, so no message could say its line.",
        "Write the keys out; an alias may stand for a whole value.",
        "codecs: *our_codecs",
    ),
    "bad-alias": Kind(
        "An alias (*name) stands for nothing that was named before with &name.",
        "There is no value to put there.",
        "Name the value above its first use, or put text that begins with * into quotes.",
        'caller: "*21"',
    ),
    "tag": Kind(
        "A YAML tag such as !secret stands before a value.",
        "Tags ask a parser to run something; a site is only text.",
        "Remove it. Secrets are references, and text that begins with ! goes into quotes.",
        "password: {file: /etc/sbcctl/carrier.secret}",
    ),
    "more-problems": Kind(
        "There are more problems than are listed.",
        "A thousand are enough to begin with.",
        "Repair those that are listed and validate again.",
    ),
}

OF_VALUES = {
    "unknown-key": Kind(
        "A key stands in the file that sbcctl does not know at this place.",
        "It would do nothing, and whoever wrote it believes that it does: a misspelt limit is "
        "no limit.",
        "Take the key the hint names, or see with sbcctl explain PATH what is possible there.",
        "node:\n  public_address: 203.0.113.10",
    ),
    "missing-key": Kind(
        "A key is missing that has no default.",
        "Nobody but you knows its value.",
        "Add it; the hint says what it is.",
        "trunks:\n  office:\n    kind: pbx\n    gateways: [sip:192.0.2.20]",
    ),
    "empty": Kind(
        "A key has no value, or a list no entry.",
        "An empty value could mean none or not yet; a site says which.",
        "Give it a value, or remove the key to get the default.",
    ),
    "wrong-type": Kind(
        "A value has another shape than its key takes: text for a list, a list for a mapping...",
        "What is meant cannot be guessed safely.",
        "Write it in the shape the message names.",
        "codecs: [PCMA, PCMU]",
    ),
    "not-a-choice": Kind(
        "A value is none of the words that its key takes.",
        "A word that is nearly right must not become a default.",
        "Take one of the words in the message; sbcctl explain PATH says what they mean.",
        "kind: pbx",
    ),
    "out-of-range": Kind(
        "A number is smaller or larger than what its key takes.",
        "Outside of these limits the engines, or Teams, do not work.",
        "Take a number within the limits in the message, or remove the key to get the default.",
        "options_interval: 60",
    ),
    "bad-value": Kind(
        "A value does not have the form that its key needs.",
        "The engines would read something else out of it.",
        "Write it in the form the message shows.",
        "number: +493055500",
    ),
    "bad-address": Kind(
        "A value is no IP address, or no network in the form ADDRESS/LENGTH.",
        "A name would be resolved at some moment and not again; an address stays.",
        "Write the address; for a network all bits behind its length are zero.",
        "networks: [198.51.100.0/24]",
    ),
    "too-many": Kind(
        "A list or mapping has more entries than it may have.",
        "More would slow down every call, or not fit into what an engine reads.",
        "Remove some, or spread them over several trunks or routes.",
    ),
    "secret-in-text": Kind(
        "A password is written into the site, or a reference to one has the wrong shape.",
        "site.yaml goes into version control, chats and logs; a password in it is known.",
        "Put the secret where only root reads it, and name that place.",
        "password: {file: /etc/sbcctl/carrier.secret}",
    ),
    "placeholder": Kind(
        "A value of sbcctl init still stands there. This is a hint, nothing is refused.",
        "It is from the ranges for documentation, which nobody can reach.",
        'Put in your own value and remove the mark "# <- yours".',
    ),
}
