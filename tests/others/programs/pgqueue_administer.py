"""Administers queue `other` with pgqueue and prints what it learns of it as JSON: CONNINFO."""

import json
import sys

import pgqueue
import psycopg2
import psycopg2.extras


def main(conninfo):
    db = psycopg2.connect(conninfo, cursor_factory=psycopg2.extras.DictCursor)
    db.autocommit = True
    cursor = db.cursor()
    queue = pgqueue.Queue("other")
    created = [queue.create(cursor, ticker_max_lag="4 seconds"), queue.create(cursor)]
    registered = [queue.register_consumer(cursor, "c"), queue.register_consumer(cursor, "c")]
    info = queue.get_info(cursor)
    consumer = queue.get_consumer_info(cursor, "c")
    unregistered = [queue.unregister_consumer(cursor, "c"), queue.unregister_consumer(cursor, "c")]
    queue.drop(cursor)
    print(
        json.dumps(
            {
                "version": pgqueue.Queue.version(cursor),
                "created": created,
                "registered": registered,
                "unregistered": unregistered,
                "max_lag": info["queue_ticker_max_lag"].total_seconds(),
                "last_tick": consumer["last_tick"],
                "left": len(pgqueue.Queue.get_all_queues_info(cursor)),
            }
        )
    )


main(*sys.argv[1:])
