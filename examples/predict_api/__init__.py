"""A small inference API behind Flask-Rampart: see ``README.md`` in this folder."""
