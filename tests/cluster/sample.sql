-- Small, with what a dump has to bring back: keys, an index, a view, a sequence, a function, jsonb and bytea.
CREATE TABLE customers (id bigserial PRIMARY KEY, name text NOT NULL, settings jsonb NOT NULL, photo bytea);
CREATE TABLE orders (
  id       bigserial PRIMARY KEY,
  customer bigint NOT NULL REFERENCES customers,
  total    numeric(12, 2) NOT NULL CHECK (total >= 0),
  at       timestamptz NOT NULL
);
CREATE INDEX orders_at ON orders (at);
CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 900;
CREATE FUNCTION total_of(bigint) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT sum(total) FROM orders WHERE customer = $1';
INSERT INTO customers (name, settings, photo)
  SELECT 'customer ' || i, jsonb_build_object('level', i % 5), decode(md5(i::text), 'hex') FROM generate_series(1, 2000) AS i;
INSERT INTO orders (customer, total, at)
  SELECT 1 + i % 2000, (i * 7919 % 100000) / 100.0, timestamptz '2026-01-01' + i * interval '1 minute'
  FROM generate_series(1, 20000) AS i;
