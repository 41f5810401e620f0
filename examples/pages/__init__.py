"""Pages behind all that a browser is told: a notebook with a sign-in, a form, an API for another site's pages."""
