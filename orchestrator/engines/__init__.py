"""The daemons, each in its own words; they do not know each other."""
