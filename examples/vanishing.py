"""A program that stops without saying goodbye: killed in the middle of its work, and its watchdog sees it."""

import os
import signal
import sys
import time

import datacat


def main(seconds: float = 5) -> None:
    """Convert pictures until the end comes."""
    session = datacat.create_session(product="converter", version="0.9", tags=["demo"], watchdog=True)
    for picture in range(1, 6):
        session.update_state({"converting": {"picture": f"img_{picture:03}.png"}})
        session.log_event("picture_started", {"number": picture})
        time.sleep(seconds / 5)
    session.log_event("last_words", message="Something is wrong here")
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
