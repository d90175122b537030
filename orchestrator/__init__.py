"""The control plane of sbcctl: Site -> Views -> Generation -> Plan -> Outcome (DESIGN section 5)."""
