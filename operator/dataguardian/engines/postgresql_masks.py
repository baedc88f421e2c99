"""The functions that make masked values, as PostgreSQL runs them: in a load's own temporary schema.

HMAC-SHA256 of RFC 2104, from sha256() alone: no extension is needed. Its padded keys are settings of the transaction.
"""

from __future__ import annotations

import hashlib

BLOCK_BYTES = 64  # of SHA-256

# Each as a part of an array.
_FIRST = """\
Ada, Alan, Alba, Amir, Ana, Anna, Arun, Aya, Ben, Bruno, Carla, Chen, Clara, Dana, Davi, Elif, Emma, Erik, Eva, Felix,
Femi, Gita, Hana, Hugo, Ines, Ivan, Iris, Jana, Joao, Jonas, Kai, Kofi, Lars, Laura, Lea, Leo, Lucas, Luis, Maria,
Marta, Mei, Mina, Nadia, Nils, Noah, Nora, Omar, Otto, Paula, Pedro, Priya, Rafael, Rosa, Ruth, Samir, Sara, Sofia,
Tara, Theo, Tomas, Vera, Yara, Yuki, Zoe"""
_LAST = """\
Abe, Adams, Almeida, Andrade, Bauer, Becker, Berg, Brito, Brown, Cardoso, Castro, Clark, Costa, Cruz, Dias, Diaz,
Duarte, Evans, Fischer, Fonseca, Garcia, Gomes, Gray, Haas, Hall, Hansen, Horn, Ito, Jensen, Kaya, Keller, Khan, Kim,
Klein, Kumar, Lang, Lima, Lopes, Martin, Mendes, Meyer, Mori, Nakamura, Nunes, Okafor, Olsen, Park, Patel, Pinto,
Ramos, Reis, Ribeiro, Rocha, Roth, Santos, Sato, Silva, Singh, Souza, Tanaka, Vargas, Vogel, Weber, Young"""

# A permutation of the numbers from bottom to top, but for that one, for every key: two keys of a table never become
# one. It is a Feistel network with four rounds, gone through again as long as the result is outside.
_PERMUTED = """\
CREATE FUNCTION pg_temp.dg_masking_permuted(value pg_catalog.int8, bottom pg_catalog.int8, top pg_catalog.int8)
RETURNS pg_catalog.int8 LANGUAGE plpgsql STABLE STRICT AS $function$
DECLARE
  rest pg_catalog.int8 := value - bottom;
  greatest_rest pg_catalog."bit"(64) := (top - bottom - 1)::pg_catalog."bit"(64);
  bits pg_catalog.int4 := pg_catalog.length(pg_catalog.ltrim(greatest_rest::pg_catalog.text, '0'));
  low pg_catalog.int4 := bits / 2;
  high_ones pg_catalog.int8 := (1::pg_catalog.int8 << bits - low) - 1;
  low_ones pg_catalog.int8 := (1::pg_catalog.int8 << low) - 1;
  left_half pg_catalog.int8;
  right_half pg_catalog.int8;
BEGIN
  LOOP
    left_half := rest >> low;
    right_half := rest & low_ones;
    FOR step IN 1 .. 2 LOOP
      left_half := left_half # (pg_temp.dg_masking_number(step || ' a ' || bottom || ' ' || right_half) & high_ones);
      right_half := right_half # (pg_temp.dg_masking_number(step || ' b ' || bottom || ' ' || left_half) & low_ones);
    END LOOP;
    rest := left_half << low | right_half;
    EXIT WHEN rest < top - bottom;
  END LOOP;
  RETURN bottom + rest;
END $function$;
"""
# A whole number stays among those that the same types take: 16 bits, 32 bits, then so many digits. So it fits into each
# column into which it fitted, is the same in all of them, and no two become one. What is below zero stays below zero.
_BOUNDS = ", ".join(map(str, [0, 2**15, 2**31, *(10**digits for digits in range(10, 19)), 2**63 - 1]))
_NUMERIC = f"""\
CREATE FUNCTION pg_temp.dg_masking_numeric(value pg_catalog."numeric", digits pg_catalog.int4)
RETURNS pg_catalog."numeric" LANGUAGE plpgsql STABLE STRICT AS $function$
DECLARE
  distance pg_catalog."numeric" := greatest(value, -1 - value);
  bounds pg_catalog.int8[] := '{{{_BOUNDS}}}';
  class pg_catalog.int4;
  bottom pg_catalog.int8 := 0;
  top pg_catalog.int8;
BEGIN
  IF value <> pg_catalog.trunc(value) OR distance >= 9223372036854775807 THEN
    RETURN pg_temp.dg_masking_number(pg_catalog.rtrim((value + 0.0)::pg_catalog.text, '0'))
           % 10::pg_catalog."numeric" ^ least(digits, 18);
  ELSIF digits < 10 THEN
    top := 10 ^ digits - (value < 0)::pg_catalog.int4;
  ELSE
    class := pg_catalog.width_bucket(distance::pg_catalog.int8, bounds);
    bottom := bounds[class];
    top := bounds[class + 1];
  END IF;
  distance := pg_temp.dg_masking_permuted(distance::pg_catalog.int8, bottom, top);
  RETURN CASE WHEN value < 0 THEN -1 - distance ELSE distance END;
END $function$;
"""
_FUNCTIONS = f"""\
CREATE FUNCTION pg_temp.dg_masking_bytea(value pg_catalog.bytea)
RETURNS pg_catalog.bytea LANGUAGE plpgsql STABLE STRICT AS $function$
BEGIN
  RETURN pg_catalog.sha256(pg_catalog.current_setting('dg_masking.outer_key')::pg_catalog.bytea
         || pg_catalog.sha256(pg_catalog.current_setting('dg_masking.inner_key')::pg_catalog.bytea || value));
END $function$;
CREATE FUNCTION pg_temp.dg_masking_hash(value pg_catalog.text)
RETURNS pg_catalog.bytea LANGUAGE plpgsql STABLE STRICT AS $function$
BEGIN
  RETURN pg_temp.dg_masking_bytea(pg_catalog.convert_to(value, 'UTF8'));
END $function$;
CREATE FUNCTION pg_temp.dg_masking_text(value pg_catalog.text)
RETURNS pg_catalog.text LANGUAGE plpgsql STABLE STRICT AS $function$
BEGIN
  RETURN pg_catalog.encode(pg_temp.dg_masking_bytea(pg_catalog.convert_to(value, 'UTF8')), 'hex');
END $function$;
CREATE FUNCTION pg_temp.dg_masking_number(value pg_catalog.text)
RETURNS pg_catalog.int8 LANGUAGE plpgsql STABLE STRICT AS $function$
BEGIN
  RETURN ('x' || pg_catalog.encode(pg_catalog.substr(pg_temp.dg_masking_hash(value), 1, 8), 'hex'))
         ::pg_catalog."bit"(64)::pg_catalog.int8 & 9223372036854775807;
END $function$;
CREATE FUNCTION pg_temp.dg_masking_uuid(value pg_catalog.text)
RETURNS pg_catalog.uuid LANGUAGE plpgsql STABLE STRICT AS $function$
DECLARE
  hash pg_catalog.text := pg_temp.dg_masking_text(value);
BEGIN  -- with the marks of a random one
  RETURN (pg_catalog.substr(hash, 1, 12) || '4' || pg_catalog.substr(hash, 13, 3)
          || '8' || pg_catalog.substr(hash, 16, 15))::pg_catalog.uuid;
END $function$;
CREATE FUNCTION pg_temp.dg_masking_email(value pg_catalog.text)
RETURNS pg_catalog.text LANGUAGE plpgsql STABLE STRICT AS $function$
BEGIN
  RETURN pg_catalog."left"(pg_temp.dg_masking_text(value), 16) || '@example.invalid';
END $function$;
CREATE FUNCTION pg_temp.dg_masking_name(value pg_catalog.text)
RETURNS pg_catalog.text LANGUAGE plpgsql STABLE STRICT AS $function$
DECLARE
  first pg_catalog.text[] := '{{{_FIRST}}}';
  last pg_catalog.text[] := '{{{_LAST}}}';
  hash pg_catalog.bytea := pg_temp.dg_masking_hash(value);
BEGIN
  RETURN first[1 + pg_catalog.get_byte(hash, 0) % pg_catalog.cardinality(first)]
         || ' ' || last[1 + pg_catalog.get_byte(hash, 1) % pg_catalog.cardinality(last)];
END $function$;
CREATE FUNCTION pg_temp.dg_masking_digits(value pg_catalog.text)
RETURNS pg_catalog.text LANGUAGE plpgsql STABLE STRICT AS $function$
DECLARE
  hash pg_catalog.bytea := pg_temp.dg_masking_hash(value);
BEGIN
  RETURN (SELECT pg_catalog.string_agg(
                   CASE WHEN sign ~ '[0-9]'
                        THEN (pg_catalog.get_byte(hash, ((place - 1) % 32)::pg_catalog.int4) % 10)::pg_catalog.text
                        ELSE sign END, '' ORDER BY place)
            FROM pg_catalog.regexp_split_to_table(value COLLATE pg_catalog."C", '')
                 WITH ORDINALITY AS each (sign, place));
END $function$;
"""
FUNCTIONS = _FUNCTIONS + _PERMUTED + _NUMERIC


def padded(key: bytes) -> tuple[bytes, bytes]:
    """The inner and the outer key."""
    block = (hashlib.sha256(key).digest() if len(key) > BLOCK_BYTES else key).ljust(BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
