"""The control plane of sbcctl: Site -> Views -> Generation -> Plan -> Outcome."""
