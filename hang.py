import time

import datacat


def wait_for_a_reply():
    time.sleep(3)


with datacat.create_session(product="first-hang", version="1.0") as session:
    session.start_heartbeat_monitor(timeout=1, check_interval=0.25)
    for job in range(3):
        session.heartbeat()
        session.update_state({"job": job})
        if job == 1:
            wait_for_a_reply()
    print(session.session_id)
