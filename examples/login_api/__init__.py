"""Sign-in with Argon2, refresh, sign-out: an example for Flask-Rampart."""
