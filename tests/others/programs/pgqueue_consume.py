"""Consumes with pgqueue until CONSUMER has seen COUNT events: CONNINFO CONSUMER COUNT FOLDER.

An event of type `again` is retried once. What comes goes into table seen, in the transaction of the batch.
"""

import sys
import time

import pgqueue
import psycopg2
import psycopg2.extras


def main(conninfo, name, count, _folder):
    db = psycopg2.connect(conninfo, cursor_factory=psycopg2.extras.DictCursor)
    cursor = db.cursor()
    consumer = pgqueue.Consumer("q", name)
    consumer.register(cursor)
    db.commit()
    print("registered", flush=True)
    seen = 0
    while seen < int(count):
        for event in consumer.next_events(cursor, commit=True):
            if event.type == "again" and not event.retry:
                event.tag_retry(0)
            else:
                cursor.execute("insert into seen values (%s, %s, %s)", [name, event.data, event.retry or None])
                seen += 1
        time.sleep(0.02)


main(*sys.argv[1:])
