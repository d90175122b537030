"""SIP as values: messages, SDP, ladders. No socket and no clock in here."""
