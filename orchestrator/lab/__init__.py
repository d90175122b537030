"""A whole world on one machine: Teams, a PBX, a phone, a CA and DNS in network namespaces."""
