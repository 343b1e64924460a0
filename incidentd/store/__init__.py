"""SQLAlchemy Core on SQLite and PostgreSQL.

Whoever locks rows of several kinds in one transaction does it in this order, so that nobody waits in a circle:

1. expected heartbeats, reactions, schedules of drills;
2. incidents, by id, then their entries;
3. cursors of incidents;
4. buckets, by name;
5. digests, by id: of each its own cursor, then its row.

Among one kind all that are needed are asked for at once, in the order given. Cursors have none: whoever waits for
several holds their incidents, and whoever doesn't passes over what is locked (``SKIP LOCKED``). What is needed out of
its turn is looked at without a lock; where it then turns out to be another, the transaction begins anew.

Reloads of the rules and a clock that was put back touch whatever cursors there are, in no order: seldom enough for
PostgreSQL to find out, and for one of the two to be tried again. SQLite has one writer at a time.
"""
