"""Produces the numbers FIRST to LAST with python3-pgq, each in one of its two ways: CONNINFO FIRST LAST."""

import datetime
import sys

import pgq
import psycopg2


def main(conninfo, first, last):
    db = psycopg2.connect(conninfo)
    cursor = db.cursor()
    numbers = range(int(first), int(last) + 1)
    for number in numbers[::2]:
        pgq.insert_event(cursor, "q", "number", str(number))
    db.commit()
    cursor.execute("select txid_current()")
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    rows = [(now, "number", str(number)) for number in numbers[1::2]]
    pgq.bulk_insert_events(cursor, rows, ["time", "type", "data"], "q")
    db.commit()


main(*sys.argv[1:])
