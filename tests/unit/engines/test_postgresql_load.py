"""What is done to the text that PostgreSQL's programs write for a load."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguardian.engines.postgresql import PostgreSQL
from dataguardian.engines.postgresql_load import PostgreSQLLoading

from .test_postgresql import login

# As pg_restore 17.11 writes them.
HEAD = b"""\
--
-- PostgreSQL database dump
--

\\restrict 2iRf9f5I

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

BEGIN;

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
"""
# Of what the server answers to a script, nothing but the numbers of rows is told.
COUNTED = b'\\set QUIET off\n\\o |grep -a "^COPY " | tail -n 100000\n'
COUNTED_END = b"\\o\n\\set QUIET on\n"
TAIL = b"""\
REFRESH MATERIALIZED VIEW public.mv;


COMMIT;

--
-- PostgreSQL database dump complete
--

\\unrestrict 2iRf9f5I

"""


def loading(client: int = 17, server: int = 17) -> PostgreSQLLoading:
    """A load by this client into a server of this major."""
    return PostgreSQL().loading(login(), client, server, lock_timeout_seconds=7, application="dataguardian-1")


def test_the_transaction_is_ours_and_a_lock_is_waited_for_as_long_as_it_may() -> None:
    opening = loading().opening(HEAD)

    head = HEAD.replace(b"BEGIN;\n", b"").replace(b"SET lock_timeout = 0;", b"SET lock_timeout = 7000;")
    assert opening == COUNTED + head


@pytest.mark.parametrize(("server", "set_there"), [(16, False), (17, True), (18, True)])
def test_a_server_that_does_not_know_a_setting_is_not_given_it(server: int, set_there: bool) -> None:
    opening = loading(18, server).opening(HEAD)

    assert opening is not None
    assert (b"transaction_timeout" in opening) is set_there
    assert loading(18, server).several_connections is set_there


@given(st.integers(1, HEAD.count(b"\n") - 1))
def test_a_part_of_the_head_is_not_taken_for_all_of_it(lines: int) -> None:
    assert loading().opening(b"".join(HEAD.splitlines(keepends=True)[:lines])) is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_the_end_of_a_script_runs_without_its_commit(before: bytes) -> None:
    refreshed = b"REFRESH MATERIALIZED VIEW public.mv;\n\n"

    assert loading().closing(before + TAIL) == before + refreshed + b"\n\\unrestrict 2iRf9f5I\n\n" + COUNTED_END


def test_an_older_programs_end_has_no_key() -> None:
    tail = TAIL.partition(b"\\unrestrict")[0]

    assert loading().closing(tail) == b"REFRESH MATERIALIZED VIEW public.mv;\n\n\n" + COUNTED_END


@given(st.integers(0, TAIL.index(b"complete\n--") + 10))
def test_a_script_that_was_cut_has_no_end(size: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it tells the tail
        loading().closing(TAIL[:size])


def test_what_goes_with_its_table_is_not_dropped_by_itself() -> None:
    listing = b"""\
;     Dumped by pg_dump version: 17.2
214; 1259 16385 TABLE public a postgres
215; 1259 16386 TABLE DATA of_a_schema postgres
3320; 0 16385 TABLE DATA public a postgres
3375; 0 0 BLOBS - BLOBS postgres
3374; 2613 4242 BLOB - 4242 postgres
3219; 2606 16393 CONSTRAINT public a a_pkey postgres
3221; 2606 16394 CHECK CONSTRAINT public a later postgres
3220; 1259 16408 INDEX public a_idx postgres
3224; 0 0 INDEX ATTACH public a_idx postgres
3222; 2620 16409 TRIGGER public a refused postgres
3225; 3466 16410 EVENT TRIGGER - watch postgres
3223; 2606 16403 FK CONSTRAINT public a a_fkey postgres
"""

    dropped = loading().dropped(listing).decode()

    assert [line.partition(";")[0] for line in dropped.splitlines()[1:]] == ["214", "215", "3374", "3225", "3223"]


@pytest.mark.parametrize(
    "drops",
    [
        b"\n",
        b"\nDROP TABLE IF EXISTS public.a;\n",
        b'\nDROP TABLE IF EXISTS "x\n--\n-- Name: ""y"";\nSET a";\nDROP SCHEMA IF EXISTS s;\n',
    ],
)
@pytest.mark.parametrize("after", [b"--\n-- Name: a; Type: TABLE", b"SET default_tablespace = '';\n"])
def test_drops_end_where_something_is_made_and_not_in_a_name(drops: bytes, after: bytes) -> None:
    printed = HEAD + b"SET row_security = off;\n" + drops + after

    assert loading().drops(printed) == drops
