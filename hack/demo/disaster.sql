DELETE FROM order_items WHERE order_id % 2 = 0;
DELETE FROM reviews;
UPDATE products SET price = 0.01;
DROP TABLE shipments;
