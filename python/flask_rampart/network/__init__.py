"""The network's edge: who a request is from, whom it is for, and whether it came by HTTPS."""
