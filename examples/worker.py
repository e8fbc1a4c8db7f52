"""A worker that waits for a reply too long: it hangs, is seen to hang, and recovers."""

import sys
import time

import datacat


def wait_for_a_reply(seconds: float) -> None:
    """Stand still, as a program does whose neighbour does not answer."""
    time.sleep(seconds)


def main(hang: float = 4) -> None:
    """Work through ten jobs."""
    with datacat.create_session(product="worker", version="1.0", tags=["demo"]) as session:
        session.start_heartbeat_monitor(timeout=2, check_interval=0.5)
        for job in range(1, 11):
            session.heartbeat()
            session.update_state({"progress": {"job": job, "of": 10}})
            with session.timer("job_duration"):
                wait_for_a_reply(hang if job == 4 else 0.4)
            session.log_counter("jobs_done")
        session.log_event("all_done", message="Every job is done.")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
