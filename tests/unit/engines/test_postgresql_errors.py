"""What PostgreSQL's programs print becomes the error that tells what to do."""

from __future__ import annotations

import pytest

from dataguardian.engines.postgresql_errors import essence, failure
from dataguardian.errors import (
    DatabaseUnavailable,
    DataGuardianError,
    DumpFailed,
    EngineFailed,
    LoadFailed,
    NotFound,
    PermissionRefused,
    SpecInvalid,
    TargetLocked,
)

from .test_postgresql import login

LOST = 'connection to server at "db" (10.0.0.1), port 5432 failed: '
CASES: list[tuple[str, type[EngineFailed] | None, type[DataGuardianError]]] = [
    (f'psql: error: {LOST}FATAL:  password authentication failed for user "app"', None, PermissionRefused),
    (f"psql: error: {LOST}fe_sendauth: no password supplied", None, PermissionRefused),
    (f'psql: error: {LOST}FATAL:  role "app" does not exist', None, PermissionRefused),
    (f'psql: error: {LOST}FATAL:  no pg_hba.conf entry for host "10.0.0.2", SSL off', None, PermissionRefused),
    (f'psql: error: {LOST}FATAL:  database "orders" does not exist', None, NotFound),
    (f"psql: error: {LOST}Connection refused\n\tIs the server running?", None, DatabaseUnavailable),
    (f"psql: error: {LOST}timeout expired", None, DatabaseUnavailable),
    (f"psql: error: {LOST}FATAL:  the database system is starting up", None, DatabaseUnavailable),
    (f"psql: error: {LOST}FATAL:  sorry, too many clients already", None, DatabaseUnavailable),
    (f"psql: error: {LOST}server does not support SSL, but SSL was required", None, SpecInvalid),
    (f"psql: error: {LOST}SSL SYSCALL error: EOF detected", None, DatabaseUnavailable),
    (f"psql: error: {LOST}SSL error: certificate verify failed", None, SpecInvalid),
    (
        'psql: error: could not translate host name "db" to address: Name or service not known',
        None,
        DatabaseUnavailable,
    ),
    ("", None, DatabaseUnavailable),
    (f'pg_dump: error: {LOST}FATAL:  password authentication failed for user "app"', DumpFailed, PermissionRefused),
    (f"pg_dump: error: {LOST}Connection refused", DumpFailed, DatabaseUnavailable),
    ("pg_dump: error: query failed: ERROR:  permission denied for table orders", DumpFailed, PermissionRefused),
    ("pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout", DumpFailed, DatabaseUnavailable),
    (
        'pg_dump: error: Dumping the contents of table "t" failed: PQgetCopyData() failed.\n'
        "pg_dump: detail: Error message from server: FATAL:  terminating connection due to administrator command\n"
        "SSL connection has been closed unexpectedly",
        DumpFailed,
        DumpFailed,
    ),
    ('pg_restore: error: could not execute query: ERROR:  role "x" does not exist', LoadFailed, LoadFailed),
    ("pg_restore: error: could not execute query: ERROR:  must be owner of table t", LoadFailed, PermissionRefused),
    ("pg_restore: error: it was killed by signal 9", LoadFailed, LoadFailed),
    ("psql:<stdin>:41: ERROR:  canceling statement due to lock timeout", LoadFailed, TargetLocked),
    ("psql:<stdin>:41: ERROR:  deadlock detected", LoadFailed, TargetLocked),
    ('psql:<stdin>:9: ERROR:  must be owner of table "t"', LoadFailed, PermissionRefused),
    (
        "psql:<stdin>:7: FATAL:  terminating connection due to administrator command\n"
        "psql:<stdin>:7: server closed the connection unexpectedly\n"
        "psql:<stdin>:7: error: connection to server was lost",
        LoadFailed,
        LoadFailed,
    ),
]


@pytest.mark.parametrize(("said", "otherwise", "expected"), CASES)
def test_what_is_printed_becomes_the_error_that_it_means(
    said: str, otherwise: type[EngineFailed] | None, expected: type[DataGuardianError]
) -> None:
    error = failure(said, login(), otherwise)

    assert type(error) is expected
    assert "'orders'" in error.what
    assert error.remedy


def test_the_essence_is_short_and_without_the_statement() -> None:
    said = "\n".join(
        [
            "pg_restore: while PROCESSING TOC:",
            "pg_restore: from TOC entry 215; 1259 16385 TABLE orders vanished",
            'pg_restore: error: could not execute query: ERROR:  role "vanished" does not exist',
            "Command was: ALTER TABLE public.orders OWNER TO vanished;" + "x" * 5000,
        ]
    )

    assert essence(said) == 'could not execute query: ERROR:  role "vanished" does not exist'


def test_the_essence_of_psqls_error_has_its_short_explanations_and_no_row_of_data() -> None:
    said = "\n".join(
        [
            "psql:<stdin>:4711: ERROR:  cannot drop table shop.orders because other objects depend on it",
            "DETAIL:  view unknown_one depends on table shop.orders",
            "HINT:  Use DROP ... CASCADE to drop the dependent objects too.",
            'CONTEXT:  COPY orders, line 7: "1 secret"',
        ]
    )
    long = f"psql:<stdin>:7: ERROR:  new row is refused\nDETAIL:  Failing row contains ({'x, ' * 100})."

    assert essence(said) == (
        "ERROR:  cannot drop table shop.orders because other objects depend on it "
        "DETAIL:  view unknown_one depends on table shop.orders "
        "HINT:  Use DROP ... CASCADE to drop the dependent objects too."
    )
    assert essence(long) == "ERROR:  new row is refused"
