"""What the database knows of a drill's incident."""

from sqlalchemy.engine import Connection

from incidentd.drill import key_of
from incidentd.lifecycle.drill import Seen
from incidentd.store import drills, entries, incidents, query
from incidentd.store.drills import Drill

_ATTEMPTS_READ = 500


def look(tx: Connection, drill: Drill) -> Seen | None:
    """None: there is no such incident, or not yet."""
    incident_id = drill.incident_id or drills.incident_of(tx, key_of(drill.id))
    found = incidents.load(tx, [incident_id]).get(incident_id) if incident_id else None
    if found is None or incident_id is None:
        return None
    return Seen(
        found[1],
        entries.load(tx, incident_id),
        query.following(tx, incident_id),
        query.deliveries(tx, incident_id, _ATTEMPTS_READ),
    )
