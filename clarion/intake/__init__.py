"""DOOR for events at speed: what is posted as events is answered here, before Django.

`lane` reads and answers on the event loop, `senders` knows who may send, `writer` stores in one thread whatever came
while it last committed.
What a body may be and what is answered is told once, in `api/event_posts.py`.
"""
