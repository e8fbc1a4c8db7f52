"""An editor: windows open and close, memory grows, files are saved, and it says goodbye."""

import random
import sys
import time

import datacat


def main(seconds: float = 10) -> None:
    """Edit for a while."""
    with datacat.create_session(product="editor", version="2.3.1", tags=["demo"]) as session:
        session.update_state(
            {"window_state": {"open": ["w1"], "active": "w1"}, "memory": {"footprint_mb": 50}}
        )
        session.start_heartbeat_monitor(timeout=60)
        for step in range(10):
            session.heartbeat()
            session.log_metric("fps", 55 + random.random() * 10, tags=["scene:menu"])
            if step == 2:
                session.update_state({"window_state": {"open": ["w1", "w2"]}})
                session.log_event("window_opened", {"window": "w2"})
            if step == 5:
                session.update_state({"memory": {"footprint_mb": 75}})
                session.log_event("saved", {"path": "a.txt", "bytes": 1832})
            if step == 8:
                session.update_state({"window_state": {"active": None}})
            time.sleep(seconds / 10)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
