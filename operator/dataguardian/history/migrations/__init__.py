"""The schema's steps (alembic, raw SQL). They only add: the release before works with the next one's schema."""
