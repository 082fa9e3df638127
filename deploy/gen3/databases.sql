-- Run once, when PostgreSQL's volume is new: Arborist has a database of its own.
CREATE DATABASE arborist;
