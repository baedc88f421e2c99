"""The services that the other tests stand on."""

from __future__ import annotations

import redis

from .services import PostgresServer, RedisServer, S3Server


def test_postgres_gives_an_empty_database(postgres_server: PostgresServer) -> None:
    database = postgres_server.database()

    assert postgres_server.rows(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_redis_answers(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url()) as client:
        assert client.ping()


def test_s3_gives_an_empty_bucket(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()

    assert (s3_server.admin.keys(bucket), s3_server.admin.uploads(bucket)) == ([], [])
