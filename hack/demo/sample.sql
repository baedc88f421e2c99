-- A shop with 14 tables and about 340,000 rows. Nothing is random: loaded twice, it is the same to the byte.
SET client_min_messages = warning;
BEGIN;
DROP SCHEMA IF EXISTS public CASCADE;
CREATE SCHEMA public;

CREATE TABLE customers (
  id       bigint PRIMARY KEY,
  name     text NOT NULL,
  email    text NOT NULL UNIQUE,
  since    date NOT NULL,
  settings jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE addresses (
  id          bigint PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES customers ON DELETE CASCADE,
  street      text NOT NULL,
  city        text NOT NULL,
  country     char(2) NOT NULL
);
CREATE TABLE categories (
  id        int PRIMARY KEY,
  name      text NOT NULL UNIQUE,
  parent_id int REFERENCES categories
);
CREATE TABLE suppliers (id int PRIMARY KEY, name text NOT NULL, rating numeric(3, 2) CHECK (rating BETWEEN 0 AND 5));
CREATE TABLE products (
  id          bigint PRIMARY KEY,
  category_id int NOT NULL REFERENCES categories,
  name        text NOT NULL,
  price       numeric(10, 2) NOT NULL CHECK (price > 0),
  attributes  jsonb NOT NULL
);
CREATE TABLE product_images (product_id bigint PRIMARY KEY REFERENCES products, picture bytea NOT NULL);
CREATE TABLE product_suppliers (
  product_id  bigint REFERENCES products,
  supplier_id int REFERENCES suppliers,
  PRIMARY KEY (product_id, supplier_id)
);
CREATE TABLE warehouses (id int PRIMARY KEY, city text NOT NULL, location point NOT NULL);
CREATE TABLE stock (
  warehouse_id int REFERENCES warehouses,
  product_id   bigint REFERENCES products,
  pieces       int NOT NULL CHECK (pieces >= 0),
  PRIMARY KEY (warehouse_id, product_id)
);
CREATE TYPE order_state AS ENUM ('open', 'paid', 'shipped', 'returned');
CREATE SEQUENCE invoice_numbers START 100000;
CREATE TABLE orders (
  id          bigint PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES customers,
  invoice     bigint NOT NULL UNIQUE DEFAULT nextval('invoice_numbers'),
  state       order_state NOT NULL,
  placed_at   timestamptz NOT NULL
);
CREATE TABLE order_items (
  order_id   bigint REFERENCES orders,
  position   int,
  product_id bigint NOT NULL REFERENCES products,
  pieces     int NOT NULL,
  price      numeric(10, 2) NOT NULL,
  PRIMARY KEY (order_id, position)
);
CREATE TABLE payments (
  id       bigint PRIMARY KEY,
  order_id bigint NOT NULL REFERENCES orders,
  amount   numeric(12, 2) NOT NULL,
  answer   jsonb NOT NULL
);
CREATE TABLE shipments (
  id           bigint PRIMARY KEY,
  order_id     bigint NOT NULL REFERENCES orders,
  warehouse_id int NOT NULL REFERENCES warehouses,
  tracking     uuid NOT NULL,
  sent_at      timestamptz
);
CREATE TABLE reviews (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  product_id  bigint NOT NULL REFERENCES products,
  customer_id bigint NOT NULL REFERENCES customers,
  stars       smallint NOT NULL CHECK (stars BETWEEN 1 AND 5),
  words       text
);

INSERT INTO customers
  SELECT i, 'Customer ' || i, 'customer' || i || '@example.com', date '2020-01-01' + i % 2000,
    jsonb_build_object('language', (ARRAY['pt-BR', 'en', 'es'])[1 + i % 3], 'newsletter', i % 2 = 0)
  FROM generate_series(1, 20000) i;
INSERT INTO addresses
  SELECT i, 1 + i % 20000, md5(i::text) || ' ' || i % 300, (ARRAY['São Paulo', 'Recife', 'Köln', '東京'])[1 + i % 4],
    (ARRAY['BR', 'BR', 'DE', 'JP'])[1 + i % 4]
  FROM generate_series(1, 25000) i;
INSERT INTO categories SELECT i, 'Category ' || i, CASE WHEN i > 4 THEN 1 + i % 4 END FROM generate_series(1, 24) i;
INSERT INTO suppliers SELECT i, 'Supplier ' || i, (i % 50) / 10.0 FROM generate_series(1, 40) i;
INSERT INTO products
  SELECT i, 1 + i % 24, 'Product ' || i, 1 + (i * 7919 % 100000) / 100.0,
    jsonb_build_object('colour', (ARRAY['red', 'green', 'blue'])[1 + i % 3], 'sizes', jsonb_build_array(i % 40, i % 50))
  FROM generate_series(1, 2000) i;
INSERT INTO product_images
  SELECT i, decode(string_agg(md5(i || '-' || part), '' ORDER BY part), 'hex')
  FROM generate_series(1, 500) i, generate_series(1, 200) part GROUP BY i;
INSERT INTO product_suppliers SELECT 1 + i % 2000, 1 + (i + i / 2000) % 40 FROM generate_series(1, 3000) i;
INSERT INTO warehouses SELECT i, 'City ' || i, point(i * 3.5, -i * 1.25) FROM generate_series(1, 4) i;
INSERT INTO stock SELECT w, p, (w * p) % 500 FROM generate_series(1, 4) w, generate_series(1, 2000) p;
INSERT INTO orders (id, customer_id, state, placed_at)
  SELECT i, 1 + i * 31 % 20000, (enum_range(NULL::order_state))[1 + i % 4],
    timestamptz '2025-01-01 00:00:00+00' + i * interval '7 minutes'
  FROM generate_series(1, 50000) i ORDER BY i;
INSERT INTO order_items
  SELECT 1 + i / 3, 1 + i % 3, 1 + i * 17 % 2000, 1 + i % 5, 1 + (i * 7919 % 100000) / 100.0
  FROM generate_series(0, 134999) i;
INSERT INTO payments
  SELECT i, i, (i % 1000) + 0.99, jsonb_build_object('provider', 'sample', 'approved', i % 50 <> 0, 'code', md5(i::text))
  FROM generate_series(1, 45000) i;
INSERT INTO shipments
  SELECT i, i, 1 + i % 4, md5('shipment' || i)::uuid, timestamptz '2025-01-02 00:00:00+00' + i * interval '7 minutes'
  FROM generate_series(1, 35000) i;
INSERT INTO reviews (product_id, customer_id, stars, words)
  SELECT 1 + i % 2000, 1 + i * 13 % 20000, 1 + i % 5, CASE WHEN i % 3 > 0 THEN repeat(md5(i::text) || ' ', 1 + i % 6) END
  FROM generate_series(1, 15000) i ORDER BY i;

CREATE INDEX orders_by_customer ON orders (customer_id, placed_at DESC);
CREATE INDEX orders_open ON orders (placed_at) WHERE state = 'open';
CREATE INDEX order_items_by_product ON order_items (product_id);
CREATE INDEX products_by_attribute ON products USING gin (attributes);
CREATE INDEX addresses_by_city ON addresses (lower(city));

CREATE FUNCTION order_total(wanted bigint) RETURNS numeric LANGUAGE sql STABLE
  AS 'SELECT coalesce(sum(pieces * price), 0) FROM public.order_items WHERE order_id = wanted';
CREATE VIEW customer_totals AS
  SELECT c.id, c.name, count(*) AS orders, sum(order_total(o.id)) AS total
  FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id;
COMMIT;
ANALYZE;
