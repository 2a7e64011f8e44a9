"""Decisions. Nothing here waits (but `outbox.take`) or knows a socket or a broker."""
