"""The operator's loops: each reads the world as it is and brings it in line."""
