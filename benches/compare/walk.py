"""Reads the batch with a batch walker of python3-pgq: walk.py CONNINFO WALKER FETCH_SIZE.

Prints events, bytes, nanoseconds and the peak memory in KiB.
"""

import sys
import time

import pgq.baseconsumer
import pgq.consumer
import psycopg2
import psycopg2.extras

WALKERS = {
    "BaseBatchWalker": pgq.baseconsumer.BaseBatchWalker,
    "RetriableBatchWalker": pgq.consumer.RetriableBatchWalker,
}


def main(conninfo, walker, fetch_size):
    db = psycopg2.connect(conninfo, cursor_factory=psycopg2.extras.DictCursor)
    cursor = db.cursor()
    start = time.perf_counter_ns()
    cursor.execute("select pgq.next_batch('q', 'c')")
    batch_id = cursor.fetchone()[0]
    db.commit()
    events = size = 0
    for event in WALKERS[walker](cursor, batch_id, "q", fetch_size=int(fetch_size)):
        events += 1
        size += len(event.type) + len(event.data)
    elapsed = time.perf_counter_ns() - start
    print(events, size, elapsed, peak_kib())


def peak_kib():
    with open("/proc/self/status") as status:
        return next(line.split()[1] for line in status if line.startswith("VmHWM:"))


main(*sys.argv[1:])
