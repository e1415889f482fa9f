"""Produces the numbers FIRST to LAST with pgqueue: CONNINFO FIRST LAST."""

import sys

import pgqueue
import psycopg2


def main(conninfo, first, last):
    db = psycopg2.connect(conninfo)
    queue = pgqueue.Queue("q")
    for number in range(int(first), int(last) + 1):
        queue.insert_event(db.cursor(), "number", str(number))
    db.commit()


main(*sys.argv[1:])
