"""An OpenAI-compatible endpoint in front of a toy model: an example for Flask-Rampart."""
