// Package housetest holds the house to its plan: which room may import which, and who may know PostgreSQL and the web
// framework. It has tests only; `make lint` and `make test` run them.
package housetest
