"""Consumes with python3-pgq until CONSUMER has seen COUNT events: CONNINFO CONSUMER COUNT FOLDER.

An event of type `again` is retried once. What comes goes into table seen, in the transaction of the batch.
"""

import sys
import time

import pgq
import psycopg2


class Consumer(pgq.Consumer):
    def process_event(self, db, ev):
        if ev.type == "again" and not ev.retry:
            ev.tag_retry(0)
            return
        db.cursor().execute("insert into seen values (%s, %s, %s)", [self.consumer_name, ev.data, ev.retry])
        ev.tag_done()


def main(conninfo, name, count, folder):
    config = f"{folder}/{name}.ini"
    with open(config, "w") as ini:
        ini.write(f"[others]\njob_name = {name}\ndb = {conninfo}\nqueue_name = q\nconsumer_name = {name}\n")
    consumer = Consumer("others", "db", [config])
    consumer.register_consumer()
    print("registered", flush=True)
    db = psycopg2.connect(conninfo)
    db.autocommit = True
    cursor = db.cursor()
    while True:
        cursor.execute("select count(*) from seen where consumer = %s", [name])
        if cursor.fetchone()[0] >= int(count):
            return
        if not consumer.work():
            time.sleep(0.02)


main(*sys.argv[1:])
