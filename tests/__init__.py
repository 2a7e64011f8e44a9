"""The tests; `README.md` here says what needs what."""
