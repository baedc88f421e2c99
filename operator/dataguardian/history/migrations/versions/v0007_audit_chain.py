"""The audit log as a chain that can only be added to, and what its readers need."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE audit_logs
    ADD COLUMN execution_id uuid,
    ADD COLUMN seq bigint,
    ADD COLUMN previous text,
    ADD COLUMN hash text
"""
# What a removal said in its detail.
EXECUTIONS = """
UPDATE audit_logs SET execution_id = (detail ->> 'execution_id')::uuid, detail = detail - 'execution_id'
WHERE detail ->> 'execution_id' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
"""
# The form of ``history.chain`` as it is now, and told in docs/audit.md.
FIELD = r"'{name} ' || coalesce(octet_length({text}) || ':' || {text}, '-') || E'\n'"
TEXTS = {
    "previous": "before",
    "seq": "place::text",
    "id": "id::text",
    "at": """to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "who": "who",
    "action": "action",
    "namespace": "namespace",
    "object_kind": "object_kind",
    "object_name": "object_name",
    "outcome": "outcome",
    "detail": "detail::text",
    "execution_id": "execution_id::text",
    "request_id": "request_id",
}
FORM = r"E'dataguardian audit 1\n' || " + " || ".join(
    FIELD.format(name=name, text=text) for name, text in TEXTS.items()
)
CHAIN = f"""
DO $$
DECLARE
    each uuid;
    before text := repeat('0', 64);
    place bigint := 0;
BEGIN
    FOR each IN SELECT audit_logs.id FROM audit_logs ORDER BY audit_logs.at, audit_logs.id LOOP
        place := place + 1;
        UPDATE audit_logs
        SET seq = place, previous = before, hash = encode(sha256(convert_to({FORM}, 'UTF8')), 'hex')
        WHERE audit_logs.id = each
        RETURNING hash INTO before;
    END LOOP;
END
$$
"""  # noqa: S608 - made of the constants above
WHOLE = """
ALTER TABLE audit_logs
    ALTER COLUMN seq SET NOT NULL,
    ALTER COLUMN previous SET NOT NULL,
    ALTER COLUMN hash SET NOT NULL,
    ADD CONSTRAINT audit_logs_seq UNIQUE (seq),
    ADD CONSTRAINT audit_logs_outcome CHECK (outcome IN ('success', 'refused', 'failed'))
"""
# Lists are newest first by seq; an index is read backwards as fast.
INDEXES = (
    "CREATE INDEX audit_logs_by_namespace ON audit_logs (namespace, seq)",
    "CREATE INDEX audit_logs_by_who ON audit_logs (who, seq)",
    "CREATE INDEX audit_logs_by_action ON audit_logs (action, seq)",
    "CREATE INDEX audit_logs_by_kind ON audit_logs (object_kind, seq)",
    "CREATE INDEX audit_logs_by_object ON audit_logs (object_name, object_kind, seq)",
    "CREATE INDEX audit_logs_by_execution ON audit_logs (execution_id, seq) WHERE execution_id IS NOT NULL",
    "CREATE INDEX audit_logs_by_outcome ON audit_logs (outcome, seq) WHERE outcome <> 'success'",
)
# A release from before the chain still writes while this one takes over, and again after a rollback.
# The number is LOCK_KEY of ``history.audit``: the query after the lock sees what was committed while it was waited for.
LINK = f"""
CREATE FUNCTION dataguardian_audit_link() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before text;
    place bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({0x6461746161756474});
    SELECT newest.seq + 1, newest.hash INTO place, before FROM audit_logs newest ORDER BY newest.seq DESC LIMIT 1;
    IF NOT FOUND THEN
        place := 1;
        before := repeat('0', 64);
    END IF;
    IF NEW.detail ->> 'execution_id' ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$' THEN
        NEW.execution_id := NEW.detail ->> 'execution_id';
        NEW.detail := NEW.detail - 'execution_id';
    END IF;
    NEW.seq := place;
    NEW.previous := before;
    NEW.hash := (
        SELECT encode(sha256(convert_to({FORM}, 'UTF8')), 'hex') FROM (SELECT (NEW).*) AS added
    );
    RETURN NEW;
END
$$
"""  # noqa: S608 - made of the constants above
LINKED = """
CREATE TRIGGER audit_logs_link BEFORE INSERT ON audit_logs
FOR EACH ROW WHEN (NEW.seq IS NULL) EXECUTE FUNCTION dataguardian_audit_link()
"""
REFUSE = """
CREATE FUNCTION dataguardian_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are added, never changed or removed', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$
"""
REFUSED = """
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
FOR EACH STATEMENT EXECUTE FUNCTION dataguardian_append_only()
"""
# Also where a session says that it only replays what another server did.
ALWAYS = "ALTER TABLE audit_logs ENABLE ALWAYS TRIGGER audit_logs_append_only"
# An owner may give itself the rights again, and a superuser needs none: the trigger stands before both.
RIGHTS = "REVOKE UPDATE, DELETE, TRUNCATE ON audit_logs FROM PUBLIC, CURRENT_USER"


def upgrade() -> None:
    """Chain the rows that there are, and let nobody change them from now on."""
    for statement in (COLUMNS, EXECUTIONS, CHAIN, WHOLE, *INDEXES, LINK, LINKED, REFUSE, REFUSED, ALWAYS, RIGHTS):
        op.execute(statement)
