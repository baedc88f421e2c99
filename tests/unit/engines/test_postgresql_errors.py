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
    MaskingFailed,
    MaskingInvalid,
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


LINE = "psql:<stdin>:41: "
ROW = 'CONTEXT:  COPY people, line 7: "7\tsecret failed"\nLOCATION:  errfinish, elog.c:1'
IN_RULE = (
    "CONTEXT:  PL/pgSQL function pg_temp_3.dg_masking_1() line 3 at SQL statement\n"
    'COPY people, line 7: "7\tsecret failed"'
)
MASKED: list[tuple[str, type[DataGuardianError], str]] = [
    (
        f'{LINE}ERROR:  42703: masking rule of public.people.mail: column "emial" does not exist\n'
        "CONTEXT:  PL/pgSQL function inline_code_block line 28 at RAISE",
        MaskingInvalid,
        'public.people.mail: column "emial" does not exist',
    ),
    (
        f'{LINE}ERROR:  23514: new row for relation "people" violates check constraint "known"\n'
        f"DETAIL:  Failing row contains (7, secret).\n{ROW}\nSCHEMA NAME:  public\nTABLE NAME:  people\n"
        "CONSTRAINT NAME:  known",
        MaskingFailed,
        "constraint known of table people in datasource",
    ),
    (
        'pg_restore: error: could not execute query: ERROR:  could not create unique index "people_mail_key"\n'
        "DETAIL:  Key (mail)=(secret) is duplicated.\nCommand was: ALTER TABLE ONLY public.people",
        MaskingFailed,
        '"people_mail_key"',
    ),
    (
        f"{LINE}ERROR:  0A000: moving row to another partition during a BEFORE FOR EACH ROW trigger is not supported\n"
        f"DETAIL:  Before executing trigger secret.\n{ROW}",
        LoadFailed,
        "SQLSTATE 0A000",
    ),
    (
        f'{LINE}ERROR:  22P02: invalid input syntax for type integer: "secret"\n{IN_RULE}',
        MaskingFailed,
        "A row of table people could not be masked or loaded",
    ),
    (f"{LINE}ERROR:  P0001: secret is odd\n{IN_RULE}", MaskingFailed, "SQLSTATE P0001"),
    (
        f'{LINE}ERROR:  42803: column "row_.a" must appear in the GROUP BY clause\n{IN_RULE}',
        MaskingFailed,
        "SQLSTATE 42803",
    ),
    (f'{LINE}ERROR:  42704: unrecognized configuration parameter "secret"\n{IN_RULE}', MaskingFailed, "table people"),
    (f"{LINE}ERROR:  P0001: masking secret\n{IN_RULE}", MaskingFailed, "SQLSTATE P0001"),
    (f"{LINE}ERROR:  XX000: masking rule secret\n{IN_RULE}", LoadFailed, "SQLSTATE XX000"),
    (f"{LINE}ERROR:  42501: permission denied to create temporary tables\nLOCATION:  x", PermissionRefused, "42501"),
    (
        f"{LINE}FEHLER:  22P02: ungültige Eingabesyntax für Typ integer: »secret«\n"
        "CONTEXT:  PL/pgSQL-Funktion pg_temp_3.dg_masking_1() Zeile 4 bei SQL-Anweisung\n"
        "COPY people, Zeile 1: »1 secret«\nLOCATION:  pg_strtoint32, numutils.c:320",
        MaskingFailed,
        "A row of table people could not be masked or loaded in datasource 'orders' (SQLSTATE 22P02)",
    ),
    (
        f"{LINE}HINWEIS:  00000: secret\n{LINE}ERRO:  23505: duplicar valor da chave viola a restrição\n"
        "DETAIL:  Chave (mail)=(secret) já existe.\nTABLE NAME:  people\nCONSTRAINT NAME:  people_mail_key",
        MaskingFailed,
        "constraint people_mail_key of table people",
    ),
    (
        "pg_restore: error: could not execute query: FEHLER:  konnte nicht erzeugen: secret\n"
        "DETAIL:  Schlüssel (mail)=(secret)\nfailed: ERROR: secret",
        LoadFailed,
        "left out",
    ),
    ("pg_restore: error: it was killed by signal 9", LoadFailed, "killed by signal 9"),
    (f"{LINE}ERROR:  55P03: canceling statement due to lock timeout\n{IN_RULE}", TargetLocked, "SQLSTATE 55P03"),
    (f"{LINE}ERROR:  53100: could not extend file: No space left on device\n{IN_RULE}", LoadFailed, "lacks disk"),
    (
        f"{LINE}FATAL:  57P01: terminating connection due to administrator command\n{IN_RULE}\n"
        f"{LINE}server closed the connection unexpectedly\n{LINE}error: connection to server was lost",
        LoadFailed,
        "SQLSTATE 57P01",
    ),
]


@pytest.mark.parametrize(("said", "expected", "told"), MASKED)
def test_what_fails_in_a_masked_load_is_told_without_a_value_of_a_row(
    said: str, expected: type[DataGuardianError], told: str
) -> None:
    error = failure(said, login(), MaskingFailed)

    assert type(error) is expected
    assert told in error.what
    assert "'orders'" in error.what
    assert "secret" not in str(error)
