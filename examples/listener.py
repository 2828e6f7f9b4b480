"""A service that listens to Usher: billing wants an account of its own for each user who registers, once.

AMQP_URL says where the broker is, BILLING_DATABASE is the file where billing keeps its accounts. listener.rs does the
same in Rust; docs/integrating.md says why it is done so. Needs pika.
"""

import json
import os
import sqlite3
import sys
import time
import uuid

import pika

QUEUE = "billing.users"
DEAD_EXCHANGE = "billing.dead"
DEAD_QUEUE = "billing.users.dead"

IN_FLIGHT = 20
PAUSE = 1.0

# RabbitMQ 4 would take a message away at the 20th delivery: an outage of ours must not empty the queue.
QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
DEAD_LETTERS = {
    "x-dead-letter-exchange": DEAD_EXCHANGE,
    "x-dead-letter-routing-key": DEAD_QUEUE,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


def main():
    accounts = sqlite3.connect(os.environ["BILLING_DATABASE"])
    accounts.execute("CREATE TABLE IF NOT EXISTS accounts (user_id TEXT PRIMARY KEY, event_id TEXT NOT NULL UNIQUE)")
    while True:
        try:
            listen(accounts)
        except pika.exceptions.AMQPError as fault:
            print(f"{fault!r}; again in {PAUSE} s", file=sys.stderr, flush=True)
            time.sleep(PAUSE)


def listen(accounts):
    """Until the connection breaks. What was not acknowledged by then comes again."""
    parameters = pika.URLParameters(os.environ["AMQP_URL"])
    parameters.client_properties = {"connection_name": "billing"}
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        declare(channel)
        channel.basic_qos(prefetch_count=IN_FLIGHT)
        channel.basic_consume(QUEUE, lambda *message: take(accounts, *message))
        print("listening", flush=True)
        channel.start_consuming()


def declare(channel):
    """A queue of our own, which every event comes to, and where those go that nobody can read."""
    channel.exchange_declare(DEAD_EXCHANGE, "direct", durable=True)
    channel.queue_declare(DEAD_QUEUE, durable=True, arguments=QUORUM)
    channel.queue_bind(DEAD_QUEUE, DEAD_EXCHANGE, DEAD_QUEUE)
    channel.queue_declare(QUEUE, durable=True, arguments=QUORUM | DEAD_LETTERS)
    channel.queue_bind(QUEUE, "usher.events", "user.created")


def take(accounts, channel, delivery, properties, body):
    """Acknowledged once the account is committed, and not before."""
    try:
        event_id = str(uuid.UUID(properties.message_id))
        user_id = str(uuid.UUID(json.loads(body)["userId"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        channel.basic_reject(delivery.delivery_tag, requeue=False)
        return
    if open_account(accounts, user_id, event_id):
        print(f"opened an account for {user_id}", flush=True)
    channel.basic_ack(delivery.delivery_tag)


def open_account(accounts, user_id, event_id):
    """What is done and the memory that it was done are one statement. False: this event came before."""
    with accounts:
        statement = "INSERT INTO accounts (user_id, event_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
        return accounts.execute(statement, (user_id, event_id)).rowcount == 1


main()
