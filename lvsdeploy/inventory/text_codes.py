"""LVS0xx: what can be wrong with an inventory's text, its keys and values, and its references."""

from __future__ import annotations

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.registry import code

_YAML_SPEC = "https://yaml.org/spec/1.1/"

UNREADABLE = code(
    "LVS001",
    Severity.ERROR,
    "The inventory cannot be read.",
    why="lvsdeploy reads the whole cluster from this one file.",
    fix="Check the path and its permissions.",
)
NOT_TEXT = code(
    "LVS002",
    Severity.ERROR,
    "The inventory is not plain UTF-8 text.",
    why="Bytes that are no text, and control characters, would end up in files on the hosts.",
    fix="Save the file as UTF-8 without control characters.",
)
SYNTAX = code(
    "LVS003",
    Severity.ERROR,
    "The text is not YAML.",
    why="Nothing can be told about the cluster before the text can be parsed.",
    fix="Mend the line; brackets and quotes must close, and keys of one mapping stand in one column.",
    example="directors:\n  lvs1: {address: 192.0.2.2, interface: eth0",
    links=(_YAML_SPEC,),
)
TAB = code(
    "LVS004",
    Severity.ERROR,
    "A line is indented with a tab.",
    why="YAML forbids tabs in indentation: how wide one is depends on who looks.",
    fix="Indent with spaces.",
    example="directors:\n\tlvs1: {address: 192.0.2.2, interface: eth0}",
    links=(_YAML_SPEC,),
)
DUPLICATE_KEY = code(
    "LVS005",
    Severity.ERROR,
    "A key stands twice in one mapping.",
    why="YAML readers keep the last one and say nothing, so the first would be lost without a trace.",
    fix="Keep one of the two, or give them different names.",
    example=("real_servers:\n  web1: {address: 192.0.2.11}\n  web1: {address: 192.0.2.12}"),
)
KEY_NOT_STRING = code(
    "LVS006",
    Severity.ERROR,
    "A key is not a string.",
    why="Keys are names; YAML reads some words (on, yes, null, 12, 2024-01-01) as something else.",
    fix="Put the key in quotes.",
    example="groups:\n  on: [web1]      # YAML 1.1 reads `on` as true",
)
TAG = code(
    "LVS007",
    Severity.ERROR,
    "The text has a YAML tag.",
    why="Tags make YAML build objects or run code; an inventory is plain data and never evaluated.",
    fix="Write the plain value; put it in quotes when it starts with `!`.",
    example="cluster: !!python/object/apply:os.system [id]",
)
SEVERAL_DOCUMENTS = code(
    "LVS008",
    Severity.ERROR,
    "The file holds more than one YAML document.",
    why="One file is one cluster; what stands behind the second `---` would be ignored.",
    fix="Put each cluster in a file of its own.",
    example="cluster: shop\n---\ncluster: other",
)
EMPTY = code(
    "LVS009",
    Severity.ERROR,
    "The file holds no inventory.",
    why="An inventory is a mapping of keys: version, cluster, directors, real_servers, services.",
    fix="Start from `lvsdeploy init`, or from an example under inventories/.",
)
TOO_MUCH = code(
    "LVS010",
    Severity.ERROR,
    "The text is too large, too deep or expands too far.",
    why="Files like this are made to exhaust the reader; no real inventory comes near the limits.",
    fix="Split the cluster, or remove the nesting or the aliases.",
    more=("The limits: 8 MiB of text, 32 levels of nesting, 400,000 values after aliases are expanded."),
)
YAML_TRAP = code(
    "LVS011",
    Severity.ERROR,
    "YAML reads this as something other than what it looks like.",
    why="YAML 1.1 has octal numbers (010 is 8), base-60 numbers (12:30:45 is 45045), dates, and takes "
    "on, off, yes and no for booleans.",
    fix="Put the value in quotes when text is meant; write plain decimal digits when a number is.",
    example="ssh: {port: 010}            # 8\ncluster: on                 # true",
    links=("https://yaml.org/type/int.html", "https://yaml.org/type/bool.html"),
)
UNKNOWN_KEY = code(
    "LVS012",
    Severity.ERROR,
    "A key is not known here.",
    why="A key that is misspelt and ignored is a setting that silently does not hold.",
    fix="See docs/reference/inventory.md for the keys, or let your editor use schemas/inventory.schema.json.",
    example="services:\n  http: {vip: 192.0.2.50, prot: 80, real_servers: [web1]}",
)
MISSING_KEY = code(
    "LVS013",
    Severity.ERROR,
    "A key is missing.",
    why="This key has no default that would be right.",
    fix="Add it.",
    example="real_servers:\n  web1: {rip: 192.0.2.11}      # no address",
)
WRONG_TYPE = code(
    "LVS014",
    Severity.ERROR,
    "A value is of the wrong kind.",
    why="A list, a mapping, a string and a number are not taken for one another.",
    fix="Write the kind of value that is asked for; quotes make a string.",
    example='services:\n  http: {vip: 192.0.2.50, port: "80", real_servers: [web1]}',
)
NOT_A_CHOICE = code(
    "LVS015",
    Severity.ERROR,
    "A value is not one of those allowed.",
    why="The kernel refuses what it does not know, and keepalived replaces it by a default of its own, "
    "without failing.",
    more="keepalived makes an unknown scheduler wlc, and an unknown forwarding method NAT.",
    fix="Use one of the values listed.",
    example="services:\n  http: {vip: 192.0.2.50, port: 80, scheduler: wrrr, real_servers: [web1]}",
)
OUT_OF_RANGE = code(
    "LVS016",
    Severity.ERROR,
    "A number, a length or a count is out of range.",
    why="The protocol, the kernel or keepalived does not take it.",
    fix="Stay within the range that is named.",
    example="vrrp: {virtual_router_id: 300}",
)
MALFORMED = code(
    "LVS017",
    Severity.ERROR,
    "A text has characters or a form that cannot be used.",
    why="Names and texts of the inventory become file names, unit names, values for the kernel and words of "
    "keepalived.conf. Each has its form; spaces, quotes, braces, `!` and `#` would mean something else.",
    fix="Use the form that is named.",
    example="cluster: My Shop",
)
EITHER_OR = code(
    "LVS018",
    Severity.ERROR,
    "Keys that exclude each other, or one of several is missing.",
    why="Of these keys exactly one says what is meant.",
    fix="Keep exactly one of them.",
    example="services:\n  http: {vip: 192.0.2.50, port: 80, ports: [80, 443], real_servers: [web1]}",
)
REPEATED_ITEM = code(
    "LVS019",
    Severity.ERROR,
    "A list holds the same item twice.",
    why="Said twice it is probably a slip for another item.",
    fix="Remove one of the two.",
    example="groups:\n  web: [web1, web1]",
)
NOT_AN_ADDRESS = code(
    "LVS020",
    Severity.ERROR,
    "A text is not an IP address.",
    why="VIPs, RIPs and DIPs are addresses: IPVS and VRRP know no names.",
    fix="Write an IP address, such as 192.0.2.11; with /PREFIX only where a prefix belongs.",
    example="real_servers:\n  web1: {address: 192.0.2.256}",
)
UNKNOWN_NAME = code(
    "LVS021",
    Severity.ERROR,
    "A name refers to nothing in the inventory.",
    why="Services refer to real servers, groups and VIPs by the names given in their sections.",
    fix="Correct the name, or declare what it refers to.",
    example=(
        "real_servers:\n  web1: {address: 192.0.2.11}\nservices:\n"
        "  http: {vip: 192.0.2.50, port: 80, real_servers: [wbe1]}"
    ),
)
VERSION = code(
    "LVS022",
    Severity.ERROR,
    "The inventory's version is not one this program reads.",
    why="`version` says which form of the inventory the rest is written in; there is only 1 so far.",
    fix="Write `version: 1`, or use a newer lvsdeploy.",
    example="version: 2",
)
BAD_PATH = code(
    "LVS023",
    Severity.ERROR,
    "A path cannot be resolved.",
    why="`~` stands for a home folder, and this one is not known.",
    fix="Write the path in full, or relative to the inventory.",
    example="ssh: {identity_file: ~nobody-here/.ssh/id}",
)
