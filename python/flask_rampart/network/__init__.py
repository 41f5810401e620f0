"""Proxies, hosts and HTTPS: what of a request's way here is true.

``peers`` settles who the peer is.
"""
